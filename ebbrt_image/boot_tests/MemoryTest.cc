#include <cstring>
#include <memory>
#include <new>

#include "Support.h"
#include "lib/RingBuffer.h"
#include "lib/Vector.h"
#include "mm/GeneralAllocator.h"
#include "mm/KernelFrames.h"
#include "mm/PageAllocator.h"
#include "mm/VMem.h"

using namespace ebbrt;

namespace {

bool IsZero(Pfn pfn, unsigned order = 0) {
  auto* words = ToPointer<const uint64_t>(pfn);
  for (size_t i = 0; i < (kPageSize << order) / sizeof(uint64_t); ++i)
    if (words[i])
      return false;
  return true;
}

// Everything comes back: called once to fill caches and reserves, then counted.
template <class Use> void ReturnsAllFrames(Use use) {
  use();
  auto before = PageAllocator::FreeFrames();
  for (int i = 0; i < 3; ++i) {
    use();
    auto after = PageAllocator::FreeFrames();
    kbugon(after != before, "%lu frames free before, %lu after", before, after);
  }
}

void FramesAreZeroAndCounted() {
  ReturnsAllFrames([] {
    for (unsigned order = 0; order <= BuddyAllocator::kMaxOrder; ++order) {
      auto before = PageAllocator::FreeFrames();
      auto pfn = page_allocator->Allocate(order);
      kassert(pfn.valid() && pfn.number() % (uint64_t{1} << order) == 0);
      kassert(PageAllocator::FreeFrames() == before - (size_t{1} << order));
      kassert(frames::References(pfn) == 1 && IsZero(pfn, order));
      std::memset(ToPointer(pfn), 0xA5, kPageSize << order);
      page_allocator->Free(pfn, order);
      // The same frames come again, and are clean.
      auto again = page_allocator->Allocate(order);
      kassert(IsZero(again, order));
      page_allocator->Free(again, order);
    }
  });
}

void ReferencesDecide() {
  ReturnsAllFrames([] {
    auto pfn = page_allocator->Allocate();
    frames::AddReference(pfn);
    auto before = PageAllocator::FreeFrames();
    frames::Release(pfn);
    kassert(PageAllocator::FreeFrames() == before);
    kassert(frames::References(pfn) == 1);
    frames::Release(pfn);
    kassert(PageAllocator::FreeFrames() == before + 1);
  });
}

void ExhaustionIsAnswered() {
  ReturnsAllFrames([] {
    // The frames themselves hold the list.
    auto list = Pfn::None();
    size_t count = 0;
    for (auto pfn = page_allocator->Allocate(); pfn.valid();
         pfn = page_allocator->Allocate()) {
      *ToPointer<Pfn>(pfn) = list;
      list = pfn;
      ++count;
    }
    kassert(count > 1000 && PageAllocator::UncachedFrames() == 0);
    kassert(!page_allocator->Allocate(3).valid());
    kassert(!general_allocator::Allocate(100000));
    while (list.valid()) {
      auto next = *ToPointer<Pfn>(list);
      page_allocator->Free(list);
      list = next;
    }
    // What was cut to single frames has merged.
    auto large = page_allocator->Allocate(BuddyAllocator::kMaxOrder);
    kassert(large.valid());
    page_allocator->Free(large, BuddyAllocator::kMaxOrder);
  });
}

// Frames one by one until `left` are free; then every other one goes back, so
// that free memory lies in single frames. The rest goes back at the end.
class CutUpMemory {
 public:
  explicit CutUpMemory(size_t left) {
    for (size_t i = 0; PageAllocator::FreeFrames() > left; ++i) {
      auto pfn = page_allocator->Allocate();
      // Other cores keep a few.
      if (!pfn.valid())
        break;
      *ToPointer<Pfn>(pfn) = lists_[i % 2];
      lists_[i % 2] = pfn;
    }
    free(lists_[0]);
  }
  ~CutUpMemory() { free(lists_[1]); }

 private:
  // The frames themselves hold the lists.
  static void free(Pfn list) {
    while (list.valid()) {
      auto next = *ToPointer<Pfn>(list);
      page_allocator->Free(list);
      list = next;
    }
  }

  Pfn lists_[2];
};

void RunsAreLeft() {
  ReturnsAllFrames([] {
    // As far as UCs may go.
    CutUpMemory memory(kKernelReserve);
    constexpr size_t kSize = 64 << 10;
    constexpr size_t kRuns = kKernelReserve / 2 * kPageSize / kSize;
    std::unique_ptr<std::byte[]> runs[kRuns];
    for (auto& run : runs) {
      run.reset(new (std::nothrow) std::byte[kSize]);
      kassert(run);
    }
  });
}

void PipesNeedNoRuns() {
  ReturnsAllFrames([] {
    CutUpMemory memory(0);
    constexpr size_t kSize = 64 << 10;
    kassert(!general_allocator::Allocate(kSize));
    RingBuffer pipe(kSize);
    std::byte bytes[1000];
    uint64_t written = 0, read = 0;
    for (int round = 0; round < 3; ++round) {
      while (pipe.space() >= sizeof(bytes)) {
        for (auto& byte : bytes)
          byte = static_cast<std::byte>(written++ % 251);
        kassert(pipe.Write(bytes) == sizeof(bytes));
      }
      while (pipe.size() > 3 * sizeof(bytes) / 2) {
        kassert(pipe.Read(bytes) == sizeof(bytes));
        for (auto byte : bytes)
          kassert(byte == static_cast<std::byte>(read++ % 251));
      }
    }
  });
}

void SmallObjectsAreApart() {
  constexpr size_t kObjects = 3000;
  ReturnsAllFrames([] {
    Vector<std::pair<unsigned char*, size_t>> objects;
    for (size_t i = 0; i < kObjects; ++i) {
      auto size = 1 + i * 37 % general_allocator::kMaxSmall;
      auto* bytes =
          static_cast<unsigned char*>(general_allocator::Allocate(size));
      kassert(bytes && reinterpret_cast<uint64_t>(bytes) % 16 == 0);
      std::memset(bytes, static_cast<int>(i & 0xff), size);
      objects.PushBack({bytes, size});
    }
    for (size_t i = 0; i < kObjects; ++i)
      for (size_t at = 0; at < objects[i].second; ++at)
        kassert(objects[i].first[at] == (i & 0xff));
    // Every other one first, so that slabs are partly full meanwhile.
    for (size_t step = 0; step < 2; ++step)
      for (size_t i = step; i < kObjects; i += 2)
        general_allocator::Free(objects[i].first);
  });
}

void LargeObjectsAreWholeFrames() {
  ReturnsAllFrames([] {
    for (size_t size = general_allocator::kMaxSmall + 1;
         size <= general_allocator::kMaxSize; size = size * 2 + 1) {
      auto* bytes = static_cast<char*>(general_allocator::Allocate(size));
      kassert(bytes && reinterpret_cast<uint64_t>(bytes) % kPageSize == 0);
      bytes[0] = bytes[size - 1] = 1;
      general_allocator::Free(bytes);
    }
    auto* largest = general_allocator::Allocate(general_allocator::kMaxSize);
    kassert(largest);
    general_allocator::Free(largest);
    kassert(!general_allocator::Allocate(general_allocator::kMaxSize + 1));
    kassert(!general_allocator::Allocate(~size_t{0}));
    kassert(!new (std::nothrow_t()) char[general_allocator::kMaxSize + 1]);
    general_allocator::Free(nullptr);
    auto empty = general_allocator::Allocate(0);
    kassert(empty);
    general_allocator::Free(empty);
  });
}

// Objects made on one core and freed on another.
void ObjectsTravel() {
  ReturnsAllFrames([] {
    constexpr unsigned kObjects = 500;
    static void* objects[kMaxCores][kObjects];
    test::RunOnAll([](unsigned core) {
      for (unsigned i = 0; i < kObjects; ++i) {
        objects[core][i] = general_allocator::Allocate(16 + i);
        std::memset(objects[core][i], static_cast<int>(core), 16 + i);
      }
    });
    test::RunOnAll([](unsigned core) {
      auto from = (core + 1) % cpu::Count();
      for (unsigned i = 0; i < kObjects; ++i) {
        auto* bytes = static_cast<unsigned char*>(objects[from][i]);
        kassert(bytes[0] == from && bytes[15 + i] == from);
        general_allocator::Free(bytes);
      }
    });
  });
}

// All cores take and give frames and objects at once.
void CoresShareMemory() {
  ReturnsAllFrames([] {
    test::RunOnAll([](unsigned core) {
      uint64_t random = core * 7919 + 1;
      constexpr unsigned kSlots = 64;
      struct Slot {
        Pfn pfn;
        unsigned order = 0;
        std::unique_ptr<uint64_t[]> object;
      } slots[kSlots];
      for (unsigned step = 0; step < 4000; ++step) {
        random = random * 6364136223846793005 + 1442695040888963407;
        auto& slot = slots[(random >> 33) % kSlots];
        auto mark = uint64_t{core} << 32 | step;
        if (slot.pfn.valid()) {
          auto* words = ToPointer<uint64_t>(slot.pfn);
          kassert(words[0] == words[511] && words[0] >> 32 == core);
          kassert(slot.object[0] == words[0]);
          page_allocator->Free(slot.pfn, slot.order);
          slot = Slot();
        } else {
          slot.order = static_cast<unsigned>(random >> 60) % 4;
          slot.pfn = page_allocator->Allocate(slot.order);
          kassert(slot.pfn.valid() && IsZero(slot.pfn, slot.order));
          auto* words = ToPointer<uint64_t>(slot.pfn);
          words[0] = words[511] = mark;
          slot.object = std::make_unique<uint64_t[]>(1 + (random >> 40) % 80);
          slot.object[0] = mark;
        }
      }
      for (auto& slot : slots)
        if (slot.pfn.valid())
          page_allocator->Free(slot.pfn, slot.order);
    });
  });
}

class OnDemand final : public vmem::FaultHandler {
 public:
  bool HandlePageFault(uint64_t address) override {
    ++faults;
    vmem::Map(address, page_allocator->Allocate(), 0);
    return true;
  }
  unsigned faults = 0;
};

void RegionsFillOnDemand() {
  constexpr size_t kPages = 8;
  // Regions are never given back.
  auto& handler = *new OnDemand;
  auto start = vmem::Allocate(kPages, &handler);
  auto* bytes = reinterpret_cast<volatile char*>(start);
  for (size_t i = 0; i < kPages; i += 2) {
    kassert(bytes[i * kPageSize] == 0);
    bytes[i * kPageSize + 5] = static_cast<char>(i + 1);
  }
  kassert(handler.faults == kPages / 2);
  // A mapping made by one core is there on all.
  test::RunOnAll([bytes](unsigned) {
    for (size_t i = 0; i < kPages; i += 2)
      kassert(bytes[i * kPageSize + 5] == static_cast<char>(i + 1));
  });
  kassert(handler.faults == kPages / 2);
}

void StacksAreMapped() {
  auto stack = vmem::AllocateStack(3);
  auto* words = reinterpret_cast<volatile uint64_t*>(stack);
  for (size_t i = 0; i < 3 * kPageSize / 8; ++i) {
    kassert(words[i] == 0);
    words[i] = i;
  }
  kassert(vmem::AllocateStack(1) >= stack + 4 * kPageSize);
}

}  // namespace

void AppMain() {
  kassert(PageAllocator::FreeFrames() < PageAllocator::TotalFrames());
  test::Case("frames", FramesAreZeroAndCounted);
  test::Case("references", ReferencesDecide);
  test::Case("exhaustion", ExhaustionIsAnswered);
  test::Case("runs are left", RunsAreLeft);
  test::Case("pipes in pieces", PipesNeedNoRuns);
  test::Case("small objects", SmallObjectsAreApart);
  test::Case("large objects", LargeObjectsAreWholeFrames);
  test::Case("other cores free", ObjectsTravel);
  test::Case("all cores", CoresShareMemory);
  test::Case("regions", RegionsFillOnDemand);
  test::Case("stacks", StacksAreMapped);
  test::Pass();
}
