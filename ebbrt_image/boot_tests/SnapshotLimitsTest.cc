// Snapshots when memory is short, and of UCs with a great deal to capture:
// answered with an error or done, never the end of the kernel.

#include "Witness.h"
#include "uc/SnapshotCodec.h"

using namespace ebbrt;
using namespace ebbrt::test;
using namespace ebbrt::test::witness;

namespace {

// A UC that holds all memory is captured, or told that memory is short.
void LittleIsLeft() {
  ReturnsAllFrames([] {
    TalkingRunner hoarder({"offender", "hoard"});
    hoarder.Ask(1);
    auto captured = hoarder.uc().Capture(1, nullptr);
    kprintf("%lu pages: %s\n", hoarder.Figure(0),
            captured ? "captured" : "refused");
    kassert(captured || captured.error() == Errno::kNoMemory);
    // It owns nothing now, and there is nothing for it to own.
    hoarder.Request(2, 0);
    hoarder.Wait();
  });
}

class Counter final : public StateSink {
 public:
  void Write(std::span<const std::byte> bytes) override {
    count += bytes.size();
  }
  uint64_t count = 0;
};

class Gatherer final : public StateSink {
 public:
  void Write(std::span<const std::byte> bytes) override {
    for (auto byte : bytes)
      gathered.PushBack(byte);
  }
  Vector<std::byte> gathered;
};

// Encoding gathers no file in one piece.
void ManyFiles() {
  for (uint64_t megabytes : {3, 20}) {
    ReturnsAllFrames([megabytes] {
      TalkingRunner runner({"offender", "large-file"});
      runner.Ask(megabytes);
      auto snapshot = runner.Take();
      runner.Request(2, 0);
      ExpectStatus(runner.Wait(), 0);
      auto size = snapshot_codec::EncodedSize(*snapshot, ~uint64_t{0});
      Counter counter;
      snapshot_codec::Encode(*snapshot, counter);
      kassert(size && *size == counter.count);
      kassert(counter.count > megabytes << 20);
      auto refused = snapshot_codec::EncodedSize(*snapshot, *size - 1);
      kassert(!refused && refused.error() == Errno::kTooBig);
    });
  }
}

// The kernel's own memory that a copy needs is asked for before it is taken.
void FullPipes() {
  ReturnsAllFrames([] {
    TalkingRunner runner({"offender", "full-pipes"});
    runner.Ask(120);
    auto snapshot = runner.Take();
    kassert(!snapshot_codec::EncodedSize(*snapshot, ~uint64_t{0}));
    Vector<std::unique_ptr<TalkingRunner>> copies;
    while (UnikernelContext::HasRoomFor(*snapshot))
      copies.PushBack(std::make_unique<TalkingRunner>(snapshot));
    kprintf("%lu copies, %lu frames left\n", copies.size(),
            PageAllocator::FreeFrames());
    auto refused = runner.uc().Capture(2, nullptr);
    kassert(!refused && refused.error() == Errno::kNoMemory);
    for (auto& copy : copies) {
      copy->Request(2, 0);
      ExpectStatus(copy->Wait(), 0);
    }
    runner.Request(2, 0);
    ExpectStatus(runner.Wait(), 0);
  });
}

// Copies made one after the other before any of them runs: their threads have
// no stacks yet, and each will need one.
void ManyAtOnce() {
  constexpr size_t kAboveReserve = 800;
  TalkingRunner original({"offender", "crowd"});
  original.Ask(60);
  auto snapshot = original.Take();
  original.Request(2, 0);
  ExpectStatus(original.Wait(), 0);
  ReturnsAllFrames([&snapshot] {
    Vector<Pfn> taken;
    while (PageAllocator::UncachedFrames() > kKernelReserve + kAboveReserve)
      taken.PushBack(page_allocator->Allocate());
    Vector<std::unique_ptr<UcRunner>> copies;
    while (UnikernelContext::HasRoomFor(*snapshot))
      copies.PushBack(std::make_unique<UcRunner>(snapshot));
    Sleep(20 * kMillisecond);
    kprintf("%lu copies, %lu frames left\n", copies.size(),
            PageAllocator::FreeFrames());
    kassert(!copies.empty());
    for (auto& copy : copies) {
      if (!copy->ended())
        copy->uc().End(EndKind::kStopped, "enough");
      copy->Wait();
    }
    for (auto pfn : taken)
      page_allocator->Free(pfn);
  });
}

// A UC that waits for a request has no stack. If there is none for it when the
// request comes, it ends, and the others go on.
void NoStackToGoOnWith() {
  auto base = Base();
  ReturnsAllFrames([&base] {
    TalkingRunner poor(base), other(base);
    poor.Settle();
    other.Settle();
    Vector<Pfn> taken;
    taken.Reserve(PageAllocator::FreeFrames());
    while (PageAllocator::UncachedFrames() > kKernelReserve / 4)
      taken.PushBack(page_allocator->Allocate());
    poor.Request(Of(kCheck), 0);
    Expect(poor.Wait(), EndKind::kMemoryLimit, "out of memory");
    for (auto pfn : taken)
      page_allocator->Free(pfn);
    Check(other, 0);
    Finish(other, 3);
  });
}

// What is deep or goes in rings does not take the kernel's small stacks with
// it: when it is made, captured, sent, received, copied and dropped.
void DeepThings() {
  for (auto* scenario : {"nest", "watch"}) {
    kprintf("  %s\n", scenario);
    ReturnsAllFrames([scenario] {
      TalkingRunner runner({"offender", scenario});
      runner.Ask(1);
      auto snapshot = runner.Take();
      for (int i = 0; i < 2; ++i) {
        TalkingRunner copy(snapshot);
        copy.Request(2, 0);
        ExpectStatus(copy.Wait(), 0);
      }
      Gatherer gatherer;
      snapshot_codec::Encode(*snapshot, gatherer);
      auto decoded = snapshot_codec::Decode(gatherer.gathered, GuestArchive(),
                                            {16384, 256});
      kbugon(!decoded, "not decoded: error %d",
             static_cast<int>(decoded.error()));
      runner.Request(2, 0);
      ExpectStatus(runner.Wait(), 0);
    });
  }
}

}  // namespace

void AppMain() {
  Case("deep", DeepThings);
  Case("little memory", LittleIsLeft);
  Case("many at once", ManyAtOnce);
  Case("no stack", NoStackToGoOnWith);
  Case("many files", ManyFiles);
  Case("full pipes", FullPipes);
  Pass();
}
