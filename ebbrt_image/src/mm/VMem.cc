#include "mm/VMem.h"

#include <cstring>

#include "arch/Cpu.h"
#include "arch/SpinLock.h"
#include "boot/BootInfo.h"
#include "lib/Assert.h"
#include "mm/DirectMap.h"
#include "mm/PageAllocator.h"

extern "C" {
extern char kernel_start[], text_start[], text_end[], rodata_start[];
extern char rodata_end[], data_start[], data_end[], archive_start[];
extern char archive_end[];
}

namespace {

using Entry = ebbrt::PageTableEntry;

constexpr uint64_t kTable = Entry::kPresent | Entry::kWritable;
constexpr uint64_t kData = Entry::kPresent | Entry::kWritable | Entry::kGlobal |
                           Entry::kAccessed | Entry::kDirty | Entry::kNoExecute;
constexpr uint64_t kDevice = kData | Entry::kUncached | Entry::kWriteThrough;
// The interrupt controllers and microvm's virtio devices.
constexpr uint64_t kDeviceStart = 0xFE000000;
constexpr uint64_t kDeviceEnd = 0x100000000;
constexpr uint64_t kLargePage = uint64_t{2} << 20;
constexpr unsigned kMaxRegions = 16;

struct Region {
  uint64_t start, end;
  ebbrt::vmem::FaultHandler* handler;
};

ebbrt::SpinLock lock;
ebbrt::Pfn kernel_root;
uint64_t next_region = ebbrt::vmem::kRegionsStart;
Region regions[kMaxRegions];
unsigned region_count;
// By size: a place in which a stack was, or 0. Its first entry maps nothing and
// holds the distance of the next such place from the start of the regions.
uint64_t stack_places[ebbrt::vmem::kMaxStackPages + 1];

Entry* TableOf(uint64_t address, unsigned leaf_level) {
  auto* table = ebbrt::ToPointer<Entry>(kernel_root);
  for (auto level = ebbrt::kRootLevel; level > leaf_level; --level) {
    auto& entry = table[ebbrt::TableIndex(address, level)];
    if (!entry.present())
      entry = Entry(ebbrt::PageAllocator::AllocateEarly(), kTable);
    table = ebbrt::ToPointer<Entry>(entry.pfn());
  }
  return table;
}

void MapAt(uint64_t address, ebbrt::Pfn pfn, uint64_t flags, unsigned level) {
  auto& entry = TableOf(address, level)[ebbrt::TableIndex(address, level)];
  kassert(!entry.present());
  entry = Entry(pfn, flags | (level > 1 ? Entry::kLarge : 0));
}

Entry& LeafOf(uint64_t address) {
  return TableOf(address, 1)[ebbrt::TableIndex(address, 1)];
}

// The caller holds the lock.
uint64_t TakeStackPlace(size_t pages) {
  kassert(pages <= ebbrt::vmem::kMaxStackPages);
  auto& place = stack_places[pages];
  auto start = place;
  if (!start) {
    start = next_region + ebbrt::kPageSize;
    next_region = start + pages * ebbrt::kPageSize;
    return start;
  }
  auto& link = LeafOf(start);
  auto distance = link.pfn().address();
  place = distance ? ebbrt::vmem::kRegionsStart + distance : 0;
  link = Entry();
  return start;
}

void MapImage(const char* start, const char* end, uint64_t flags) {
  for (auto at = start; at < end; at += ebbrt::kPageSize)
    MapAt(reinterpret_cast<uint64_t>(at), ebbrt::ToPfn(at),
          Entry::kPresent | Entry::kGlobal | Entry::kAccessed | flags, 1);
}

void MapDirect(uint64_t start, uint64_t end, uint64_t flags) {
  for (auto at = start & ~(kLargePage - 1); at < end; at += kLargePage) {
    auto address = ebbrt::kDirectMapBase + at;
    auto& entry = TableOf(address, 2)[ebbrt::TableIndex(address, 2)];
    if (!entry.present())
      entry = Entry(ebbrt::Pfn::Down(at), flags | Entry::kLarge);
  }
}

}  // namespace

void ebbrt::vmem::ClassInit() {
  kernel_root = PageAllocator::AllocateEarly();
  // Every root table copies these entries, so they must never change again.
  auto* root = ToPointer<Entry>(kernel_root);
  for (auto i = kTableEntries / 2; i < kTableEntries; ++i)
    if (i == TableIndex(kDirectMapBase, kRootLevel) ||
        i == TableIndex(kRegionsStart, kRootLevel) ||
        i == TableIndex(kCoresStart, kRootLevel) ||
        i == TableIndex(kKernelBase, kRootLevel))
      root[i] = Entry(PageAllocator::AllocateEarly(), kTable);

  for (const auto& range : boot_info::MemoryMap())
    MapDirect(range.start, range.end, kData);
  MapDirect(kDeviceStart, kDeviceEnd, kDevice);
  MapImage(text_start, text_end, 0);
  MapImage(rodata_start, rodata_end, Entry::kNoExecute);
  MapImage(data_start, data_end,
           Entry::kWritable | Entry::kDirty | Entry::kNoExecute);
  MapImage(archive_start, archive_end, Entry::kNoExecute);
  LoadRoot();
  PageAllocator::AddHighMemory();
}

void ebbrt::vmem::LoadRoot() {
  cpu::WriteCr3(kernel_root.address());
}

ebbrt::Pfn ebbrt::vmem::Root() {
  return kernel_root;
}

void ebbrt::vmem::InitRoot(Pfn root) {
  std::memcpy(ToPointer<Entry>(root) + kTableEntries / 2,
              ToPointer<Entry>(kernel_root) + kTableEntries / 2, kPageSize / 2);
}

uint64_t ebbrt::vmem::Allocate(size_t pages, FaultHandler* handler) {
  LockGuard guard(lock);
  kbugon(region_count == kMaxRegions, "no free kernel region");
  auto start = next_region;
  // An unmapped page keeps neighbours apart.
  next_region += (pages + 1) * kPageSize;
  regions[region_count++] = {start, start + pages * kPageSize, handler};
  return start;
}

uint64_t ebbrt::vmem::AllocateStack(size_t pages) {
  LockGuard guard(lock);
  auto start = TakeStackPlace(pages);
  for (size_t i = 0; i < pages; ++i)
    MapAt(start + i * kPageSize, PageAllocator::AllocateEarly(), kData, 1);
  return start;
}

void ebbrt::vmem::HideStack(uint64_t start, size_t pages) {
  LockGuard guard(lock);
  for (size_t i = 0; i < pages; ++i)
    LeafOf(start + i * kPageSize).Clear(Entry::kPresent);
}

void ebbrt::vmem::FreeStack(uint64_t start, size_t pages) {
  LockGuard guard(lock);
  for (size_t i = 0; i < pages; ++i) {
    auto& entry = LeafOf(start + i * kPageSize);
    kassert(!entry.present());
    frames::Release(entry.pfn());
    entry = Entry();
  }
  auto& place = stack_places[pages];
  if (place)
    LeafOf(start) = Entry(Pfn::Down(place - kRegionsStart), 0);
  place = start;
}

void ebbrt::vmem::Map(uint64_t address, Pfn pfn, uint64_t flags) {
  LockGuard guard(lock);
  MapAt(address, pfn, kData | flags, 1);
}

void* ebbrt::vmem::MapDevice(uint64_t physical, size_t size) {
  LockGuard guard(lock);
  auto start = next_region;
  auto end = PageUp(physical + size);
  for (auto at = PageDown(physical); at < end; at += kPageSize) {
    MapAt(next_region, Pfn::Down(at), kDevice, 1);
    next_region += kPageSize;
  }
  return reinterpret_cast<void*>(start + physical % kPageSize);
}

uint64_t ebbrt::vmem::CoreRegion(unsigned core) {
  auto start = kCoresStart + core * kCoreSpan;
  LockGuard guard(lock);
  auto& entry = TableOf(start, 1)[TableIndex(start, 1)];
  if (!entry.present())
    entry = Entry(PageAllocator::AllocateEarly(), kData);
  return start;
}

bool ebbrt::vmem::HandleFault(uint64_t address) {
  if (address >= kCoresStart && address < kCoresStart + kMaxCores * kCoreSpan) {
    // Translations of Ebbs that this core has not met: all misses, so zero.
    LockGuard guard(lock);
    auto page = PageDown(address);
    auto& entry = TableOf(page, 1)[TableIndex(page, 1)];
    if (!entry.present())
      entry = Entry(PageAllocator::AllocateEarly(), kData);
    return true;
  }
  for (unsigned i = 0; i < region_count; ++i) {
    const auto& region = regions[i];
    if (region.handler && address >= region.start && address < region.end)
      return region.handler->HandlePageFault(PageDown(address));
  }
  return false;
}
