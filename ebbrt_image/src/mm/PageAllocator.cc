#include "mm/PageAllocator.h"

#include <algorithm>
#include <cstring>

#include "arch/Cpu.h"
#include "boot/BootInfo.h"
#include "lib/Assert.h"
#include "mm/SharedRegion.h"

extern "C" char kernel_start[], kernel_end[];

namespace {

ebbrt::SpinLock lock;
ebbrt::BuddyAllocator buddy;
ebbrt::Frame* frame_table;
size_t frame_count;
size_t total_frames;
ebbrt::PageAllocator reps[ebbrt::kMaxCores];

// Half a cache goes and comes at a time.
constexpr unsigned kBatch = 16;
// Firmware, trampoline and the boot structures live below.
constexpr uint64_t kFirstUsable = 0x100000;
// What the boot page tables map.
constexpr uint64_t kBootMapped = uint64_t{4} << 30;

void AddRange(uint64_t start, uint64_t end) {
  auto first = ebbrt::Pfn::Up(start);
  auto last = ebbrt::Pfn::Down(end);
  if (first >= last)
    return;
  buddy.AddRange(first, last.number() - first.number());
  total_frames += last.number() - first.number();
}

// The same without what the host shares.
void AddPrivateRange(uint64_t start, uint64_t end) {
  AddRange(start, std::min(end, ebbrt::shared_region::Start()));
  AddRange(std::max(start, ebbrt::shared_region::End()), end);
}

// Gives the buddy allocator the RAM in [low, high) without [hole, hole_end).
void AddUsable(uint64_t low, uint64_t high, uint64_t hole, uint64_t hole_end) {
  for (const auto& range : ebbrt::boot_info::MemoryMap()) {
    if (!range.usable)
      continue;
    auto start = std::max(range.start, low);
    auto end = std::min(range.end, high);
    AddPrivateRange(start, std::min(end, hole));
    AddPrivateRange(std::max(start, hole_end), end);
  }
}

}  // namespace

void ebbrt::PageAllocator::ClassInit() {
  uint64_t top = 0;
  for (const auto& range : boot_info::MemoryMap())
    if (range.usable && range.end > top)
      top = range.end;
  frame_count = Pfn::Down(top).number();

  // The table itself lies right behind the image.
  auto table_start = PageUp(ToPhysical(kernel_end));
  auto table_end = PageUp(table_start + frame_count * sizeof(Frame));
  frame_table = static_cast<Frame*>(PhysicalToPointer(table_start));
  buddy.Init(frame_table, frame_count);

  AddUsable(kFirstUsable, kBootMapped, ToPhysical(kernel_start), table_end);
  // Image frames are shared by UCs like any others; the kernel keeps one
  // reference for ever.
  for (auto pfn = ToPfn(kernel_start); pfn < Pfn::Up(ToPhysical(kernel_end));
       pfn = pfn + 1)
    frames::Get(pfn).references.store(1, std::memory_order_relaxed);
}

void ebbrt::PageAllocator::AddHighMemory() {
  {
    LockGuard guard(lock);
    AddUsable(kBootMapped, ~uint64_t{0}, 0, 0);
  }
  shared_region::Init();
}

ebbrt::Pfn ebbrt::PageAllocator::AllocateEarly() {
  LockGuard guard(lock);
  auto pfn = buddy.Allocate(0);
  kbugon(!pfn.valid(), "out of memory while booting");
  frames::Get(pfn).references.store(1, std::memory_order_relaxed);
  return pfn;
}

ebbrt::PageAllocator* ebbrt::PageAllocator::HandleFault(EbbId id) {
  auto* rep = &reps[cpu::Index()];
  EbbRef<PageAllocator>::CacheRef(id, rep);
  return rep;
}

ebbrt::Pfn ebbrt::PageAllocator::Allocate(unsigned order) {
  Pfn pfn;
  if (order == 0 && cached_ > 0) {
    pfn = cache_[--cached_];
    frames::Get(pfn).state = FrameState::kUsed;
  } else {
    LockGuard guard(lock);
    pfn = buddy.Allocate(order);
    if (!pfn.valid())
      return pfn;
  }
  frames::Get(pfn).references.store(1, std::memory_order_relaxed);
  return pfn;
}

void ebbrt::PageAllocator::Free(Pfn first, unsigned order) {
  kbugon(frames::Get(first).state != FrameState::kUsed, "frame %lu freed twice",
         first.number());
  std::memset(ToPointer(first), 0, kPageSize << order);
  frames::Get(first).references.store(0, std::memory_order_relaxed);
  if (order > 0) {
    LockGuard guard(lock);
    buddy.Free(first, order);
    return;
  }
  if (cached_ == kCacheSize) {
    LockGuard guard(lock);
    for (unsigned i = 0; i < kBatch; ++i)
      buddy.Free(cache_[--cached_], 0);
  }
  frames::Get(first).state = FrameState::kCached;
  cache_[cached_++] = first;
}

size_t ebbrt::PageAllocator::FreeFrames() {
  LockGuard guard(lock);
  auto count = buddy.free_frames();
  for (const auto& rep : reps)
    count += rep.cached_;
  return count;
}

size_t ebbrt::PageAllocator::UncachedFrames() {
  return buddy.free_frames();
}

size_t ebbrt::PageAllocator::TotalFrames() {
  return total_frames;
}

ebbrt::Frame& ebbrt::frames::Get(Pfn pfn) {
  kassert(pfn.number() < frame_count);
  return frame_table[pfn.number()];
}

bool ebbrt::frames::IsRam(Pfn pfn) {
  return pfn.number() < frame_count;
}

void ebbrt::frames::Release(Pfn pfn) {
  if (DropReference(pfn))
    page_allocator->Free(pfn);
}
