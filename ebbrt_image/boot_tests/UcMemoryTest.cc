// Memory of UCs: what faults cost, what the calls mean, where the limits are.

#include "UcRunner.h"

using namespace ebbrt;
using test::Expect;
using test::ExpectStatus;
using test::ReturnsAllFrames;
using test::Run;

namespace {

constexpr const char* kScenarios[] = {"map",   "unmap",  "protect", "remap",
                                      "break", "advise", "regions", "private"};

// See guests/counts.S. The loader touches one page of the stack.
void FaultsAreCountedExactly() {
  ReturnsAllFrames([] {
    auto outcome = Run({"counts"});
    ExpectStatus(outcome, 0);
    const auto& counters = outcome.counters;
    kprintf("demand zero %lu, file fill %lu, native copy %lu, snapshot copy "
            "%lu, ownership %lu, owned %lu\n",
            counters.demand_zero, counters.file_fill, counters.native_copy,
            counters.snapshot_copy, counters.ownership, outcome.owned_frames);
    kassert(counters.demand_zero == 1 + 2);
    kassert(counters.file_fill == 3);
    kassert(counters.native_copy == 2);
    kassert(counters.snapshot_copy == 0);
    kassert(counters.ownership == 0);
    kassert(outcome.owned_frames == 5);
  });
}

void CallsDoWhatTheySay() {
  for (auto* scenario : kScenarios) {
    kprintf("  %s\n", scenario);
    ReturnsAllFrames([scenario] {
      ExpectStatus(Run({"memory", scenario}), 0);
    });
  }
}

void PeakStaysWhenPagesGo() {
  auto outcome = Run({"memory", "unmap"});
  ExpectStatus(outcome, 0);
  // It unmaps eight pages that it has written.
  kassert(outcome.peak_frames >= outcome.owned_frames + 8);
}

void LimitEndsTheUc() {
  ReturnsAllFrames([] {
    UcLimits limits;
    limits.frames = 300;
    auto outcome = Run({"memory", "touch"}, limits);
    Expect(outcome, EndKind::kMemoryLimit,
           "1200 KiB of its own in use, limit 1200");
    // Page tables count as well.
    kassert(outcome.owned_frames > 280 && outcome.owned_frames < 300);
    kassert(outcome.peak_frames == limits.frames);
    outcome = Run({"memory", "sparse"}, limits);
    Expect(outcome, EndKind::kMemoryLimit, "limit 1200 KiB");
    kassert(outcome.owned_frames < 10);
    // Calls answer with an error where a touch ends the UC.
    ExpectStatus(Run({"memory", "fill"}, limits), 0);
  });
}

// Calls that write to page tables own them first: a table for each page here.
void TablesAreWithinTheLimit() {
  constexpr uint64_t kTables = 20;
  constexpr uint64_t kSpan = uint64_t{2} << 20;
  constexpr uint64_t kStart = 0x40000000;
  constexpr uint64_t kEnd = kStart + kTables * kSpan;
  constexpr Protection kReadOnly = {.read = true};
  Region region;
  region.start = kStart;
  region.end = kEnd;
  region.protection = {.read = true, .write = true};
  using Fault = AddressSpace::Fault;
  ReturnsAllFrames([&] {
    AddressSpace parent(1000);
    kassert(parent.MapFixed(region));
    for (auto at = kStart; at < kEnd; at += kSpan)
      kassert(parent.HandleFault(at, true, false) == Fault::kResolved);
    auto image = parent.Capture();
    AddressSpace child(kTables / 2, *image);
    auto before = child.own_frames();
    // All or nothing: no page may stay writable in a region that is not.
    kassert(!child.Protect(kStart, kEnd, kReadOnly));
    kassert(child.own_frames() == before);
    kassert(child.HandleFault(kStart, true, false) == Fault::kResolved);
    kassert(child.Protect(kStart, kStart + kSpan, kReadOnly));
    kassert(child.HandleFault(kStart, true, false) == Fault::kNoAccess);
    kassert(child.own_frames() <= kTables / 2);
  });
  ReturnsAllFrames([&] {
    AddressSpace space(kTables);
    auto page = region;
    page.end = kStart + kPageSize;
    kassert(space.MapFixed(page));
    kassert(space.HandleFault(kStart, true, false) == Fault::kResolved);
    auto at = kStart;
    uint64_t moves = 0;
    for (; moves < kTables; ++moves) {
      auto to = (moves + 2) << 39;
      if (!space.Move(at, kPageSize, to, kPageSize))
        break;
      at = to;
    }
    kprintf("  %lu moves, %lu frames\n", moves, space.own_frames());
    kassert(moves > 0 && moves < kTables && space.own_frames() <= kTables);
    kassert(space.HandleFault(at, true, false) == Fault::kResolved);
  });
}

// Without a limit of its own, a UC gets what the kernel can spare.
void NodeSurvivesGreed() {
  ReturnsAllFrames([] {
    Expect(Run({"memory", "touch"}), EndKind::kMemoryLimit, "out of memory");
    ExpectStatus(Run({"memory", "fill"}), 0);
    ExpectStatus(Run({"memory", "move-starved"}), 0);
    ExpectStatus(Run({"hello"}), 7);
  });
  ReturnsAllFrames([] { Run({"memory", "starve"}); });
  ReturnsAllFrames([] {
    Expect(Run({"memory", "sparse"}), EndKind::kMemoryLimit, "out of memory");
  });
}

void GreedOnAllCores() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned core) {
      Run({"memory", core % 2 ? "starve" : "touch"});
    });
  });
}

// Several at once on each core, all with the same addresses.
void WritesArePrivate() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned) {
      test::UcRunner first({"memory", "private"}),
          second({"memory", "private"}), third({"memory", "private"});
      ExpectStatus(first.Wait(), 0);
      ExpectStatus(second.Wait(), 0);
      ExpectStatus(third.Wait(), 0);
    });
  });
}

}  // namespace

void AppMain() {
  test::Case("counters", FaultsAreCountedExactly);
  test::Case("calls", CallsDoWhatTheySay);
  test::Case("peak", PeakStaysWhenPagesGo);
  test::Case("limit", LimitEndsTheUc);
  test::Case("tables", TablesAreWithinTheLimit);
  test::Case("private", WritesArePrivate);
  test::Case("greed", NodeSurvivesGreed);
  test::Case("greed on all cores", GreedOnAllCores);
  test::Pass();
}
