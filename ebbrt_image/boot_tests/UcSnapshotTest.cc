// Capture and deploy: what it costs, that clones do not see each other, and
// that everything comes back.

#include "UcRunner.h"

using namespace ebbrt;
using test::Expect;
using test::ExpectStatus;
using test::kMillisecond;
using test::Outcome;
using test::ReturnsAllFrames;
using test::UcRunner;

namespace {

using SnapshotRef = RefPtr<Snapshot>;

// A snapshot of the guest with `pages` written, as it waits for a request.
SnapshotRef Base(std::string_view pages) {
  UcRunner runner({"snapshot", pages});
  SnapshotRef base;
  for (;;) {
    event_manager->Yield();
    kassert(!runner.ended());
    if (!runner.uc().io().empty())
      break;
  }
  auto captured = runner.uc().Capture(1, nullptr);
  kassert(captured);
  base = *captured;
  // The captured one goes on unharmed.
  runner.Request(1, 0);
  ExpectStatus(runner.Wait(), 11);
  return base;
}

Outcome RunClone(const SnapshotRef& snapshot, uint64_t request,
                 const UcLimits& limits = {}) {
  UcRunner runner(snapshot, limits);
  runner.Request(request, 0);
  return runner.Wait();
}

void OriginalGoesOn() {
  ReturnsAllFrames([] { Base("100"); });
}

void ClonesStartWhereItWas() {
  ReturnsAllFrames([] {
    auto base = Base("100");
    for (uint64_t request : {1, 2, 3, 2, 1, 7, 6, 7, 1})
      ExpectStatus(RunClone(base, request), static_cast<int>(10 + request));
  });
}

// Deploying costs the same for a snapshot of any size, and running what is
// touched.
void CostFollowsTouchedPages() {
  size_t deploy[2], own_pages[2];
  uint64_t copies[2][2];
  unsigned index = 0;
  for (auto* pages : {"100", "3000"}) {
    auto base = Base(pages);
    own_pages[index] = base->memory().own_pages();
    {
      UcRunner warm(base);
      warm.Request(3, 0);
      warm.Wait();
    }
    auto before = PageAllocator::FreeFrames();
    UcRunner clone(base);
    deploy[index] = before - PageAllocator::FreeFrames();
    clone.Request(3, 0);
    clone.Wait();
    copies[index][0] = RunClone(base, 1).counters.snapshot_copy;
    auto outcome = RunClone(base, 2);
    copies[index][1] = outcome.counters.snapshot_copy;
    kassert(outcome.counters.native_copy == 0);
    kassert(outcome.counters.ownership == 0);
    ++index;
  }
  kprintf("own pages %lu and %lu, deploy takes %lu and %lu frames, copies of a "
          "reader %lu and %lu, of a writer of 10 pages %lu and %lu\n",
          own_pages[0], own_pages[1], deploy[0], deploy[1], copies[0][0],
          copies[1][0], copies[0][1], copies[1][1]);
  kassert(own_pages[1] - own_pages[0] == 2900);
  kassert(deploy[0] == deploy[1] && deploy[0] <= 4);
  kassert(copies[0][0] == copies[1][0] && copies[0][0] <= 4);
  for (auto& counts : copies)
    kassert(counts[1] == counts[0] + 10);
}

// A second level holds its own pages only; both levels serve, in any order.
void LevelsBuildOnEachOther() {
  ReturnsAllFrames([] {
    auto base = Base("100");
    SnapshotRef second;
    {
      UcRunner runner(base);
      runner.Request(4, 0);
      // Until it has done that and waits again.
      while (!runner.uc().serving() || runner.uc().io().empty())
        test::Sleep(kMillisecond / 4);
      kassert(!runner.uc().Capture(2, nullptr));
      runner.uc().EndRequest();
      auto captured = runner.uc().Capture(2, nullptr);
      kassert(captured);
      second = *captured;
      runner.Request(5, 0);
      ExpectStatus(runner.Wait(), 15);
    }
    kassert(second->parent() == base);
    auto own = second->memory().own_pages();
    // Ten, the frame, and what is on the stacks of two threads.
    kbugon(own < 11 || own > 13, "%lu own pages", own);
    ExpectStatus(RunClone(second, 5), 15);
    ExpectStatus(RunClone(base, 1), 11);
    ExpectStatus(RunClone(second, 5), 15);
    // The lower level lives as long as the upper one needs it.
    base = nullptr;
    ExpectStatus(RunClone(second, 5), 15);
  });
}

void LimitCountsCopies() {
  ReturnsAllFrames([] {
    auto base = Base("100");
    UcLimits limits;
    limits.frames = 50;
    Expect(RunClone(base, 8, limits), EndKind::kMemoryLimit, "limit 200 KiB");
    limits.frames = 120;
    ExpectStatus(RunClone(base, 8, limits), 18);
  });
}

void ManyClonesAtOnce() {
  ReturnsAllFrames([] {
    auto base = Base("100");
    constexpr unsigned kClones = 30;
    std::unique_ptr<UcRunner> clones[kClones];
    for (auto& clone : clones)
      clone = std::make_unique<UcRunner>(base);
    base = nullptr;
    for (unsigned i = 0; i < kClones; ++i)
      clones[i]->Request(i % 2 + 1, 0);
    for (unsigned i = 0; i < kClones; ++i)
      ExpectStatus(clones[i]->Wait(), static_cast<int>(11 + i % 2));
  });
}

// All cores deploy from one snapshot, copy the same tables at the same time,
// and drop them in any order.
void ClonesOnAllCores() {
  ReturnsAllFrames([] {
    auto base = Base("600");
    test::RunOnAll([&base](unsigned core) {
      auto mine = base;
      constexpr uint64_t kRequests[] = {2, 6, 1, 7, 2, 8, 3, 2, 6, 8};
      for (size_t i = 0; i < std::size(kRequests); ++i) {
        auto request = kRequests[(i + core) % std::size(kRequests)];
        UcRunner first(mine), second(mine);
        first.Request(request, 0);
        second.Request(2, 0);
        ExpectStatus(second.Wait(), 12);
        ExpectStatus(first.Wait(), static_cast<int>(10 + request));
      }
    });
  });
}

// The reference to the snapshot that goes last may be on any core.
void LastCloneTakesTheSnapshot() {
  ReturnsAllFrames([] {
    auto base = Base("100");
    SnapshotRef held[kMaxCores];
    for (unsigned core = 0; core < cpu::Count(); ++core)
      held[core] = base;
    base = nullptr;
    test::RunOnAll([&held](unsigned core) {
      ExpectStatus(RunClone(held[core], 2), 12);
      held[core] = nullptr;
    });
  });
}

}  // namespace

void AppMain() {
  test::Case("original", OriginalGoesOn);
  test::Case("clones", ClonesStartWhereItWas);
  test::Case("cost", CostFollowsTouchedPages);
  test::Case("levels", LevelsBuildOnEachOther);
  test::Case("limit", LimitCountsCopies);
  test::Case("many", ManyClonesAtOnce);
  test::Case("all cores", ClonesOnAllCores);
  test::Case("last clone", LastCloneTakesTheSnapshot);
  test::Pass();
}
