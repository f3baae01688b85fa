// What a snapshot holds, that nothing written in one UC shows in another, and
// what it costs.

#include "Witness.h"

using namespace ebbrt;
using namespace ebbrt::test;
using namespace ebbrt::test::witness;

namespace {

// Memory, registers, files: all is there, also after the original has ended.
void CopiesHaveAllOfIt() {
  ReturnsAllFrames([] {
    auto base = Base();
    for (int i = 0; i < 3; ++i)
      CheckCopy(base, 0);
  });
}

void WritesStayWithTheWriter() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    auto base = original.Take();
    TalkingRunner first(base), second(base), third(base);
    first.Ask(Of(kMark, 1));
    Check(second, 0);
    second.Ask(Of(kMark, 2));
    original.Ask(Of(kMark, 3));
    Check(first, 1);
    Check(second, 2);
    Check(third, 0);
    Check(original, 3);
    // The snapshot holds what it held.
    CheckCopy(base, 0);
    first.Ask(Of(kMark, 4));
    Finish(second, 5);
    CheckCopy(base, 0);
    Check(first, 4);
    Check(third, 0);
    Check(original, 3);
    base = nullptr;
    Finish(original, 6);
    third.Ask(Of(kMark, 5));
    Check(third, 5);
    Check(first, 4);
    Finish(third, 7);
    Finish(first, 8);
  });
}

void ManyCopiesOnOneCore() {
  ReturnsAllFrames([] {
    auto base = Base();
    constexpr unsigned kCopies = 24;
    std::unique_ptr<TalkingRunner> copies[kCopies];
    for (auto& copy : copies)
      copy = std::make_unique<TalkingRunner>(base);
    for (unsigned i = 0; i < kCopies; i += 2)
      copies[i]->Ask(Of(kMark, 1 + i % 7));
    for (unsigned i = 0; i < kCopies; ++i)
      Check(*copies[i], i % 2 ? 0 : 1 + i % 7);
    for (unsigned i = 0; i < kCopies; ++i)
      Finish(*copies[i], static_cast<int>(i));
  });
}

// Cores copy the same prototype of files and the same tables at one time.
void CopiesOnAllCores() {
  ReturnsAllFrames([] {
    auto base = Base();
    RunOnAll([&base](unsigned core) {
      for (unsigned round = 0; round < 4; ++round) {
        auto mark = 1 + (core + round) % 7;
        TalkingRunner first(base), second(base);
        first.Ask(Of(kMark, mark));
        Check(second, 0);
        Check(first, mark);
        // A level of its own on each core.
        auto level = first.Take(2 + core);
        CheckCopy(level, mark);
        Finish(second, 3);
        Finish(first, 4);
      }
    });
    CheckCopy(base, 0);
  });
}

// However many wait for their first request, they take no stacks.
void IdleCopiesHaveNoStacks() {
  auto base = Base();
  ReturnsAllFrames([&base] {
    constexpr size_t kCopies = 60;
    auto stacks = StackPool::Count();
    std::unique_ptr<TalkingRunner> copies[kCopies];
    for (auto& copy : copies) {
      copy = std::make_unique<TalkingRunner>(base);
      copy->Settle();
    }
    kbugon(StackPool::Count() > stacks + kCopies / 2, "%lu stacks, before %lu",
           StackPool::Count(), stacks);
    for (auto& copy : copies) {
      Check(*copy, 0);
      Finish(*copy, 3);
    }
  });
}

struct Sizes {
  size_t own_pages;
  uint64_t tables;
  size_t frames;
};

// Deploys many at once, so that a frame more for each shows.
Sizes DeployCost(uint64_t pages) {
  constexpr size_t kCopies = 16;
  TalkingRunner original({"witness"});
  if (pages)
    original.Ask(Of(kTouch, pages));
  auto base = original.Take();
  class Nobody final : public UcObserver {
    void ContextEnded(UnikernelContext&) override {
      kabort("a UC ended that was never resumed");
    }
  } nobody;
  Sizes sizes = {base->memory().own_pages(), 0, 0};
  for (int round = 0; round < 2; ++round) {
    std::unique_ptr<UnikernelContext> copies[kCopies];
    auto before = PageAllocator::FreeFrames();
    for (size_t i = 0; i < kCopies; ++i)
      copies[i] = std::make_unique<UnikernelContext>(
          900 + i, UcLimits(), GuestArchive(), nobody, base);
    sizes.frames = before - PageAllocator::FreeFrames();
    sizes.tables = 0;
    for (auto& copy : copies) {
      kassert(copy->valid() && copy->space().owned_frames() == 0);
      sizes.tables += copy->space().owned_tables();
    }
    kassert(sizes.tables == kCopies);
  }
  Finish(original, 3);
  return sizes;
}

// A root table each, and the kernel's own notes, whatever the snapshot's size.
void DeployTakesTheRootOnly() {
  auto small = DeployCost(0), large = DeployCost(600);
  kprintf("own pages %lu and %lu, 16 UCs take %lu and %lu frames, %lu and %lu "
          "tables\n",
          small.own_pages, large.own_pages, small.frames, large.frames,
          small.tables, large.tables);
  kassert(large.own_pages - small.own_pages == 600);
  kassert(small.frames == large.frames);
}

// See guests/copy_counts.S.
void FaultsOfACopyAreExact() {
  ReturnsAllFrames([] {
    SnapshotRef base;
    {
      TalkingRunner original({"copy_counts"});
      base = original.Take();
      original.Request(1, 0);
      ExpectStatus(original.Wait(), 0);
    }
    for (int i = 0; i < 2; ++i) {
      TalkingRunner copy(base);
      copy.Request(1, 0);
      auto outcome = copy.Wait();
      ExpectStatus(outcome, 0);
      const auto& counters = outcome.counters;
      kprintf("snapshot copy %lu, native copy %lu, ownership %lu, demand zero "
              "%lu, file fill %lu, owned %lu\n",
              counters.snapshot_copy, counters.native_copy, counters.ownership,
              counters.demand_zero, counters.file_fill, outcome.owned_frames);
      kassert(counters.snapshot_copy == 3);
      kassert(counters.native_copy == 2);
      kassert(counters.ownership == 0);
      kassert(counters.protection == 1);
      kassert(counters.demand_zero == 2);
      kassert(counters.file_fill == 1);
      kassert(outcome.owned_frames == 7);
    }
  });
}

// What a request of one copy wrote, the next copy has before it writes there.
void WritesComeAhead() {
  ReturnsAllFrames([] {
    auto base = Base();
    TalkingRunner first(base);
    first.Ask(Of(kMark, 1));
    auto faults = first.uc().space().counters().snapshot_copy;
    // What it wrote is known once the request is done with.
    first.Ask(Of(kMark, 2));
    kassert(faults > 0 && !base->Writes().empty());
    TalkingRunner second(base);
    second.uc().OwnAhead();
    second.Ask(Of(kMark, 3));
    const auto& counters = second.uc().space().counters();
    kassert(counters.ahead == base->Writes().size());
    kassert(counters.snapshot_copy < faults);
    Check(first, 2);
    Check(second, 3);
    CheckCopy(base, 0);
    Finish(first, 4);
    Finish(second, 5);
  });
}

// Base, function, argument: each holds what was written since the one below.
void ThreeLevels() {
  ReturnsAllFrames([] {
    SnapshotRef levels[3];
    size_t own[2];
    for (int more = 0; more < 2; ++more) {
      TalkingRunner base({"witness"});
      levels[0] = base.Take(1);
      TalkingRunner function(levels[0]);
      function.Ask(Of(kTouch, 100));
      levels[1] = function.Take(2);
      TalkingRunner argument(levels[1]);
      argument.Ask(Of(kTouch, more ? 50 : 30));
      levels[2] = argument.Take(3);
      own[more] = levels[2]->memory().own_pages();
      Finish(base, 1);
      Finish(function, 2);
      Finish(argument, 3);
    }
    kprintf("own pages of the levels: %lu, %lu, %lu\n",
            levels[0]->memory().own_pages(), levels[1]->memory().own_pages(),
            own[1]);
    kassert(own[1] - own[0] == 20);
    kassert(levels[2]->parent() == levels[1]);
    kassert(levels[1]->parent() == levels[0]);
    kassert(!levels[0]->parent());

    auto touched = [](const SnapshotRef& level, uint64_t expected) {
      TalkingRunner copy(level);
      copy.Ask(Of(kTouch, 10));
      kassert(copy.Figure(2) == expected);
      Check(copy, 0);
      Finish(copy, 3);
    };
    touched(levels[0], 1);
    touched(levels[1], 2);
    touched(levels[2], 3);
    // The middle one goes while its UCs live, and the lower one after it.
    {
      TalkingRunner copy(levels[1]), upper(levels[2]);
      levels[1] = nullptr;
      touched(levels[2], 3);
      levels[0] = nullptr;
      copy.Ask(Of(kTouch, 100));
      kassert(copy.Figure(2) == 2);
      Check(copy, 0);
      Finish(copy, 3);
      upper.Ask(Of(kTouch, 50));
      kassert(upper.Figure(2) == 3);
      levels[2] = nullptr;
      upper.Ask(Of(kTouch, 100));
      kassert(upper.Figure(2) == 2);
      Check(upper, 0);
      Finish(upper, 4);
    }
  });
}

// One UC captured again and again, with a copy of each state.
void ChainOfSnapshots() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    SnapshotRef states[8];
    states[0] = original.Take(1);
    for (uint64_t mark = 1; mark < 8; ++mark) {
      original.Ask(Of(kMark, mark));
      states[mark] = original.Take(static_cast<uint32_t>(mark + 1));
      kassert(states[mark]->parent() == states[mark - 1]);
    }
    for (uint64_t mark = 8; mark-- > 0;)
      CheckCopy(states[mark], mark);
    for (uint64_t mark : {3, 0, 6, 5}) {
      states[mark] = nullptr;
      for (uint64_t other = 0; other < 8; ++other)
        if (states[other])
          CheckCopy(states[other], other);
    }
    Check(original, 7);
    Finish(original, 3);
  });
}

// A UC that captures itself without end makes a chain of any length, and all
// of it goes with its last user.
void LongChainIsDropped() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    for (uint32_t number = 1; number <= 1000; ++number)
      original.Take(number);
    CheckCopy(original.uc().origin(), 0);
    Finish(original, 3);
  });
}

}  // namespace

void AppMain() {
  Case("all of it", CopiesHaveAllOfIt);
  Case("writes", WritesStayWithTheWriter);
  Case("many", ManyCopiesOnOneCore);
  Case("all cores", CopiesOnAllCores);
  Case("idle", IdleCopiesHaveNoStacks);
  Case("deploy", DeployTakesTheRootOnly);
  Case("counters", FaultsOfACopyAreExact);
  Case("ahead", WritesComeAhead);
  Case("levels", ThreeLevels);
  Case("chain", ChainOfSnapshots);
  Case("long chain", LongChainIsDropped);
  Pass();
}
