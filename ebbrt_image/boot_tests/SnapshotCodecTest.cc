// Snapshots that leave the node and come back: what is built from the bytes is
// what was captured, and damaged bytes harm nobody.

#include "uc/SnapshotCodec.h"
#include "Witness.h"
#include "lib/Crc32.h"

using namespace ebbrt;
using namespace ebbrt::test;
using namespace ebbrt::test::witness;

namespace {

using Pages = Vector<MemoryImage::Page>;

constexpr UcFiles::Limits kFileLimits = {16384, 256};

Vector<std::byte> Encoded(Snapshot& snapshot) {
  class Gatherer final : public StateSink {
   public:
    void Write(std::span<const std::byte> bytes) override {
      for (auto byte : bytes)
        gathered.PushBack(byte);
    }
    Vector<std::byte> gathered;
  } gatherer;
  auto size = snapshot_codec::EncodedSize(snapshot, ~uint64_t{0});
  snapshot_codec::Encode(snapshot, gatherer);
  kassert(size && *size == gatherer.gathered.size());
  return std::move(gatherer.gathered);
}

// A snapshot as a host has it: its state, and pages in frames of the host's.
class Parcel {
 public:
  // What differs from the snapshot it was taken from.
  explicit Parcel(Snapshot& snapshot) : state_(Encoded(snapshot)) {
    auto take = [this](MemoryImage::Page page) {
      if (page.pfn.valid()) {
        auto copy = page_allocator->Allocate();
        kassert(copy.valid());
        std::memcpy(ToPointer(copy), ToPointer(page.pfn), kPageSize);
        page.pfn = copy;
      }
      pages_.PushBack(page);
    };
    snapshot.memory().ForEachDifference(
        snapshot.parent() ? &snapshot.parent()->memory() : nullptr, take);
  }
  Parcel(const Parcel&) = delete;
  ~Parcel() {
    for (const auto& page : pages_)
      if (page.pfn.valid())
        frames::Release(page.pfn);
  }

  Vector<std::byte>& state() { return state_; }
  const Pages& pages() const { return pages_; }

  // Null if the state is refused, or does not go with the pages.
  SnapshotRef Open(const SnapshotRef& parent) const {
    auto decoded = snapshot_codec::Decode(state_, GuestArchive(), kFileLimits);
    if (!decoded)
      return nullptr;
    auto memory = MemoryImage::Build(parent ? &parent->memory() : nullptr,
                                     std::move(decoded->regions), pages_);
    if (!memory)
      return nullptr;
    return MakeRef<Snapshot>(800, parent, std::move(memory),
                             std::move(decoded->state));
  }

  // Makes the check sum right for what the state is now.
  void Seal() {
    auto body = std::span(state_).first(state_.size() - 4);
    auto sum = Crc32(body);
    std::memcpy(state_.data() + body.size(), &sum, sizeof(sum));
  }

 private:
  Vector<std::byte> state_;
  Pages pages_;
};

void StaysWhatItWas() {
  ReturnsAllFrames([] {
    SnapshotRef opened;
    {
      auto base = Base();
      Parcel parcel(*base);
      base = nullptr;
      opened = parcel.Open(nullptr);
    }
    kassert(opened);
    CheckCopy(opened, 0);
    TalkingRunner copy(opened);
    copy.Ask(Of(kMark, 3));
    Check(copy, 3);
    CheckCopy(opened, 0);
    // Captured again, and sent on once more.
    auto level = copy.Take(2);
    Finish(copy, 3);
    Parcel second(*level);
    CheckCopy(second.Open(opened), 3);
  });
}

// Each level as its difference only.
void LevelsStayApart() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    SnapshotRef levels[3], opened[3];
    levels[0] = original.Take(1);
    original.Ask(Of(kTouch, 40));
    original.Ask(Of(kMark, 2));
    levels[1] = original.Take(2);
    original.Ask(Of(kTouch, 20));
    levels[2] = original.Take(3);
    Finish(original, 3);
    for (int i = 0; i < 3; ++i) {
      Parcel parcel(*levels[i]);
      kprintf("level %d: %lu bytes of state, %lu pages\n", i,
              parcel.state().size(), parcel.pages().size());
      opened[i] = parcel.Open(i ? opened[i - 1] : nullptr);
      kassert(opened[i]);
    }
    for (uint64_t i = 0; i < 3; ++i) {
      TalkingRunner copy(opened[i]);
      Check(copy, i ? 2 : 0);
      copy.Ask(Of(kTouch, 20));
      kassert(copy.Figure(2) == i + 1);
      Finish(copy, 3);
    }
    opened[0] = opened[1] = nullptr;
    CheckCopy(opened[2], 2);
  });
}

// Pages that moved, that read as zeroes again, that are no longer there.
void CallsOnBorrowedPagesArePartOfIt() {
  ReturnsAllFrames([] {
    TalkingRunner original({"witness"});
    auto base = original.Take(1);
    original.Ask(Of(kShuffle));
    original.Ask(Of(kShuffled));
    auto level = original.Take(2);
    Finish(original, 3);
    {
      TalkingRunner copy(level);
      copy.Ask(Of(kShuffled));
      Finish(copy, 3);
    }
    auto opened_base = Parcel(*base).Open(nullptr);
    auto opened = Parcel(*level).Open(opened_base);
    kassert(opened);
    TalkingRunner copy(opened);
    copy.Ask(Of(kShuffled));
    Finish(copy, 3);
    CheckCopy(opened_base, 0);
  });
}

void ThreadsArePartOfIt() {
  ReturnsAllFrames([] {
    TalkingRunner original({"waiters"});
    Sleep(2 * kMillisecond);
    auto opened = Parcel(*original.Take()).Open(nullptr);
    kassert(opened);
    for (int i = 0; i < 2; ++i) {
      TalkingRunner copy(opened);
      copy.Request(1, 0);
      ExpectStatus(copy.Wait(), 21);
    }
    original.Request(1, 0);
    ExpectStatus(original.Wait(), 21);
  });
}

void PagesMustLieInRegions() {
  ReturnsAllFrames([] {
    auto base = Base();
    auto build = [&base](uint64_t address) {
      Pages pages;
      base->memory().ForEachDifference(
          nullptr, [&pages](const auto& page) { pages.PushBack(page); });
      if (!address)
        address = pages[0].address;
      pages.PushBack({address, Pfn::None()});
      return MemoryImage::Build(nullptr, base->memory().regions().Clone(),
                                pages) != nullptr;
    };
    kassert(build(0));
    for (uint64_t address :
         {kPageSize, AddressSpace::kHighest - (100ul << 20),
          AddressSpace::kHighest, uint64_t{1} << 47, ~uint64_t{0xfff}})
      kassert(!build(address));
  });
}

void CutShortIsRefused() {
  ReturnsAllFrames([] {
    Parcel parcel(*Base());
    auto size = parcel.state().size();
    for (size_t length = 0; length < size; ++length) {
      std::span<const std::byte> part(parcel.state().data(), length);
      kassert(!snapshot_codec::Decode(part, GuestArchive(), kFileLimits));
    }
    // The same with a sum that is right.
    while (parcel.state().size() > 12) {
      parcel.state().PopBack();
      parcel.Seal();
      kassert(!parcel.Open(nullptr));
    }
  });
}

uint64_t Next(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state * 0x2545f4914f6cdd1d >> 16;
}

void FlippedBitsAreFound() {
  ReturnsAllFrames([] {
    Parcel parcel(*Base());
    uint64_t random = 88172645463325252;
    for (auto& byte : parcel.state()) {
      auto flip = static_cast<std::byte>(1 << Next(random) % 8);
      byte ^= flip;
      kassert(!parcel.Open(nullptr));
      byte ^= flip;
    }
    CheckCopy(parcel.Open(nullptr), 0);
  });
}

// Damage with a sum that is right: either refused, or a UC of its own that may
// end in any way.
void DamageHarmsNobody() {
  constexpr int kRounds = 1500;
  unsigned refused = 0, run = 0;
  ReturnsAllFrames([&] {
    refused = run = 0;
    auto base = Base();
    Parcel parcel(*base);
    Vector<std::byte> sound;
    for (auto byte : parcel.state())
      sound.PushBack(byte);
    uint64_t random = 2463534242;
    UcLimits limits;
    limits.frames = 2000;
    for (int round = 0; round < kRounds; ++round) {
      auto& state = parcel.state();
      for (auto i = 1 + Next(random) % 3; i > 0; --i) {
        // The file side, which is long, has fuzz tests on the host.
        auto at = Next(random) % (Next(random) % 4 ? 4800 : state.size());
        if (Next(random) % 2)
          state[at] ^= static_cast<std::byte>(1 << Next(random) % 8);
        else
          state[at] = static_cast<std::byte>(Next(random));
      }
      parcel.Seal();
      auto opened = parcel.Open(nullptr);
      if (opened) {
        ++run;
        UcRunner copy(opened, limits);
        copy.Request(Of(kCheck), 4);
        Sleep(kMillisecond / 5);
        if (!copy.ended())
          copy.uc().End(EndKind::kStopped, "enough");
        copy.Wait();
      } else {
        ++refused;
      }
      std::memcpy(state.data(), sound.data(), sound.size());
    }
    CheckCopy(base, 0);
  });
  kprintf("%u refused, %u run\n", refused, run);
  kassert(refused > 0 && run > 0);
}

}  // namespace

void AppMain() {
  Case("one", StaysWhatItWas);
  Case("levels", LevelsStayApart);
  Case("threads", ThreadsArePartOfIt);
  Case("pages", PagesMustLieInRegions);
  Case("cut", CutShortIsRefused);
  Case("flipped", FlippedBitsAreFound);
  Case("damaged", DamageHarmsNobody);
  Case("borrowed pages", CallsOnBorrowedPagesArePartOfIt);
  Pass();
}
