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
// A block of the largest size, which single frames come from last: however the
// rest is cut up, the kernel finds runs of frames. As no block is larger, none
// of either allocator ever merges with one of the other.
ebbrt::BuddyAllocator runs;
uint64_t runs_start = ~uint64_t{0};
constexpr size_t kRunFrames = size_t{1} << ebbrt::BuddyAllocator::kMaxOrder;
ebbrt::Frame* frame_table;
size_t frame_count;
size_t total_frames;
ebbrt::PageAllocator reps[ebbrt::kMaxCores];

// Half a cache goes and comes at a time.
constexpr unsigned kBatch = 64;
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

// Memory comes as zeroes, but SeaBIOS runs in RAM and leaves what it had there:
// it counts 16 MiB from the top for tables, gives most of it back, and moves
// itself right below.
void ClearFirmwareLeftovers(uint64_t table_end) {
  constexpr uint64_t kUsed = uint64_t{20} << 20;
  uint64_t start = 0, end = 0;
  for (const auto& range : ebbrt::boot_info::MemoryMap()) {
    if (!range.usable || range.end > kBootMapped || range.end < end)
      continue;
    start = std::max(range.start, table_end);
    end = range.end;
  }
  if (end > kUsed)
    start = std::max(start, end - kUsed);
  if (start < end)
    std::memset(ebbrt::PhysicalToPointer(start), 0, end - start);
}

void SetRunsAside() {
  auto first = buddy.Allocate(ebbrt::BuddyAllocator::kMaxOrder);
  if (!first.valid())
    return;
  runs_start = first.number();
  runs.Init(frame_table + runs_start, kRunFrames);
  runs.AddRange(ebbrt::Pfn(0), kRunFrames);
}

bool IsOfRuns(ebbrt::Pfn pfn) {
  return pfn.number() - runs_start < kRunFrames;
}

// The caller holds the lock.
ebbrt::Pfn Take(unsigned order) {
  auto pfn = buddy.Allocate(order);
  if (pfn.valid())
    return pfn;
  pfn = runs.Allocate(order);
  return pfn.valid() ? pfn + runs_start : pfn;
}

void GiveBack(ebbrt::Pfn pfn, unsigned order) {
  if (IsOfRuns(pfn))
    runs.Free(ebbrt::Pfn(pfn.number() - runs_start), order);
  else
    buddy.Free(pfn, order);
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

  if (boot_info::HasAcpi())
    ClearFirmwareLeftovers(table_end);
  runs.Init(frame_table, 0);
  AddUsable(kFirstUsable, kBootMapped, ToPhysical(kernel_start), table_end);
  SetRunsAside();
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
  auto pfn = Take(0);
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
  if (order > 0) {
    LockGuard guard(lock);
    pfn = Take(order);
    if (!pfn.valid())
      return pfn;
  } else {
    if (cached_ == 0 && !refill())
      return Pfn::None();
    pfn = cache_[--cached_];
    frames::Get(pfn).state = FrameState::kUsed;
  }
  frames::Get(pfn).references.store(1, std::memory_order_relaxed);
  return pfn;
}

bool ebbrt::PageAllocator::refill() {
  LockGuard guard(lock);
  while (cached_ < kBatch) {
    auto pfn = Take(0);
    if (!pfn.valid())
      break;
    frames::Get(pfn).state = FrameState::kCached;
    cache_[cached_++] = pfn;
  }
  return cached_ > 0;
}

void ebbrt::PageAllocator::Free(Pfn first, unsigned order) {
  kbugon(frames::Get(first).state != FrameState::kUsed, "frame %lu freed twice",
         first.number());
  std::memset(ToPointer(first), 0, kPageSize << order);
  frames::Get(first).references.store(0, std::memory_order_relaxed);
  if (order > 0) {
    LockGuard guard(lock);
    GiveBack(first, order);
    return;
  }
  if (cached_ == kCacheSize) {
    LockGuard guard(lock);
    for (unsigned i = 0; i < kBatch; ++i)
      GiveBack(cache_[--cached_], 0);
  }
  frames::Get(first).state = FrameState::kCached;
  cache_[cached_++] = first;
}

size_t ebbrt::PageAllocator::FreeFrames() {
  LockGuard guard(lock);
  auto count = UncachedFrames();
  for (const auto& rep : reps)
    count += rep.cached_;
  return count;
}

size_t ebbrt::PageAllocator::UncachedFrames() {
  return buddy.free_frames() + runs.free_frames();
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
