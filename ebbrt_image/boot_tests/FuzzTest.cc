// Random system calls and faults in UCs that are replaced as they end: the
// kernel lives through all of it, and its frames come back.
//
// On the command line: test.seed=N repeats a run as far as the order of events
// allows, test.calls=N makes it longer.

#include "UcRunner.h"
#include "arch/SpinLock.h"
#include "boot/BootInfo.h"
#include "entropy/Entropy.h"

using namespace ebbrt;
using namespace ebbrt::test;

namespace {

// Three boots of a test run make a million and more (test_boot_images.py).
constexpr uint64_t kCalls = 320000;
constexpr unsigned kUcsPerCore = 16;
constexpr unsigned kSnapshots = 8;
constexpr uint64_t kMaxAge = 30 * kMillisecond;
// As in guests/storm.c.
constexpr uint64_t kReport = 0x20000000;
constexpr uint64_t kSeedAt = kReport + 16;
// What may stay behind whatever was done: a free slab of each size, tables of
// the kernel's own stacks.
constexpr size_t kSpare = 32;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 | 1) {
    for (int i = 0; i < 4; ++i)
      Next();
  }
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1d;
  }
  unsigned Below(unsigned limit) {
    return static_cast<unsigned>((Next() >> 32) % limit);
  }

 private:
  uint64_t state_;
};

// Snapshots of all cores, each replaced after a while.
class Shelf {
 public:
  void Put(RefPtr<Snapshot> snapshot, unsigned place) {
    // The old one is dropped without the lock.
    LockGuard guard(lock_);
    std::swap(snapshots_[place], snapshot);
    ++puts_;
  }
  RefPtr<Snapshot> Get(unsigned place) {
    LockGuard guard(lock_);
    return snapshots_[place];
  }
  void Clear() {
    for (unsigned i = 0; i < kSnapshots; ++i)
      Put(nullptr, i);
  }
  uint64_t puts() const { return puts_; }

 private:
  SpinLock lock_;
  RefPtr<Snapshot> snapshots_[kSnapshots];
  uint64_t puts_ = 0;
};

// The UCs of one core.
class Arena final : public UcObserver {
 public:
  Arena(uint64_t seed, Shelf& shelf) : random_(seed), shelf_(shelf) {}

  void Run(uint64_t calls) {
    while (calls_ < calls) {
      for (auto& slot : slots_)
        tend(slot);
      Sleep(kMillisecond / 2);
    }
    for (auto& slot : slots_)
      if (slot.uc)
        slot.uc->End(EndKind::kStopped, "enough");
    for (auto& slot : slots_)
      while (slot.uc)
        Sleep(kMillisecond / 2);
  }

  uint64_t calls() const { return calls_; }
  uint64_t ended() const { return ended_; }
  uint64_t deployed() const { return deployed_; }

  void ContextEnded(UnikernelContext& uc) override {
    uint64_t count[2];
    if (uc.space().Read(kReport, count) && count[0] == ~count[1])
      calls_ += count[0];
    for (auto& slot : slots_)
      if (slot.uc.get() == &uc)
        slot.uc.reset();
    ++ended_;
  }

  Result<uint32_t> CaptureAsked(UnikernelContext& uc,
                                UcThread& thread) override {
    return capture(uc, &thread);
  }

 private:
  struct Slot {
    std::unique_ptr<UnikernelContext> uc;
    uint64_t born = 0;
  };

  static UcLimits Limits() {
    UcLimits limits;
    limits.frames = 600;
    limits.tmp_pages = 60;
    limits.threads = 6;
    limits.descriptors = 48;
    return limits;
  }

  void tend(Slot& slot) {
    if (!slot.uc) {
      start(slot);
      return;
    }
    if (clock::Uptime() - slot.born > kMaxAge) {
      slot.uc->End(EndKind::kStopped, "old");
      return;
    }
    switch (random_.Below(64)) {
    case 0:
      static_cast<void>(capture(*slot.uc, nullptr));
      break;
    case 1:
      slot.uc->channel().Deliver(IncomingFrame(
          FrameHeader::Make(FrameType::kInvoke, random_.Next(), slot.uc->id(),
                            0, 1 + random_.Below(20))));
      break;
    case 2:
      slot.uc->set_breakpoint(0x400000 + random_.Below(0x3000));
      break;
    }
  }

  void start(Slot& slot) {
    static uint32_t last_id;
    auto id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    slot.born = clock::Uptime();
    auto origin = shelf_.Get(random_.Below(kSnapshots));
    // Chains of snapshots of snapshots are cut now and then.
    if (origin && random_.Below(3)) {
      slot.uc = std::make_unique<UnikernelContext>(id, Limits(), GuestArchive(),
                                                   *this, std::move(origin));
      kassert(slot.uc->valid());
      // What it counted before is counted already.
      const uint64_t count[2] = {0, ~uint64_t{0}};
      static_cast<void>(slot.uc->space().Write(kReport, count));
      static_cast<void>(slot.uc->space().Write(kSeedAt, random_.Next() | 1));
      slot.uc->Resume();
      ++deployed_;
      return;
    }
    slot.uc =
        std::make_unique<UnikernelContext>(id, Limits(), GuestArchive(), *this);
    constexpr std::string_view kArguments[] = {"storm"};
    kassert(slot.uc->Start("/bin/storm", kArguments, {}));
    give_seed(slot);
  }

  // The page is there as soon as the program has begun.
  void give_seed(Slot& slot) {
    auto seed = random_.Next() | 1;
    while (slot.uc && !slot.uc->space().Write(kSeedAt, seed))
      event_manager->Yield();
  }

  Result<uint32_t> capture(UnikernelContext& uc, UcThread* self) {
    auto snapshot = uc.Capture(7, self);
    if (!snapshot)
      return snapshot.error();
    // Its calls up to here are the original's.
    auto depth = 0;
    for (auto* at = snapshot->get(); at; at = at->parent().get())
      ++depth;
    if (depth <= 20)
      shelf_.Put(*snapshot, random_.Below(kSnapshots));
    return (*snapshot)->id();
  }

  Random random_;
  Shelf& shelf_;
  Slot slots_[kUcsPerCore];
  uint64_t calls_ = 0;
  uint64_t ended_ = 0;
  uint64_t deployed_ = 0;
};

struct Totals {
  uint64_t calls, ended, deployed, captured;
};

Totals Storm(uint64_t seed, uint64_t calls) {
  Shelf shelf;
  Totals totals = {};
  RunOnAll([&](unsigned core) {
    auto arena = std::make_unique<Arena>(seed + core * 1000003, shelf);
    arena->Run(calls / cpu::Count());
    __atomic_add_fetch(&totals.calls, arena->calls(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals.ended, arena->ended(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals.deployed, arena->deployed(), __ATOMIC_RELAXED);
  });
  kprintf("%lu random calls\n", totals.calls);
  totals.captured = shelf.puts();
  shelf.Clear();
  return totals;
}

void KernelLives(uint64_t seed, uint64_t calls) {
  Storm(seed, calls / 10);
  auto before = SpareFrames();
  auto totals = Storm(seed + 1, calls);
  auto after = SpareFrames();
  kprintf("%lu calls in %lu UCs, %lu of them copies, of %lu snapshots; %lu "
          "frames spare before, %lu after\n",
          totals.calls, totals.ended, totals.deployed, totals.captured, before,
          after);
  kassert(totals.calls >= calls);
  kassert(totals.deployed > 0 && totals.captured > 0);
  kassert(after + kSpare >= before);
  ExpectStatus(Run({"hello"}), 7);
}

}  // namespace

void AppMain() {
  uint64_t seed;
  entropy->Read(std::as_writable_bytes(std::span(&seed, 1)));
  seed = boot_info::NumberOption("test.seed", seed % 1000000000);
  auto calls = boot_info::NumberOption("test.calls", kCalls);
  kprintf("test.seed=%lu test.calls=%lu\n", seed, calls);
  Case("storm", [=] { KernelLives(seed, calls); });
  Pass();
}
