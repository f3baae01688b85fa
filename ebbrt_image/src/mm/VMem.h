// The kernel half of virtual memory, which every address space shares:
//
//   0xFFFF800000000000  direct map of all RAM
//   0xFFFFE00000000000  regions given out at run time; stacks among them
//   0xFFFFF00000000000  one 4 GiB region per core: Cpu, then Ebb translations
//   0xFFFFFFFF80000000  the image
//
// The tables behind the root's entries exist from the start, so a mapping made
// later appears in every address space.
#ifndef EBBRT_MM_VMEM_H_
#define EBBRT_MM_VMEM_H_

#include <cstddef>
#include <cstdint>

#include "mm/PageTableEntry.h"

namespace ebbrt::vmem {

constexpr uint64_t kRegionsStart = 0xFFFFE00000000000;
constexpr uint64_t kCoresStart = 0xFFFFF00000000000;
constexpr uint64_t kCoreSpan = uint64_t{4} << 30;

// What a page fault in a region does.
class FaultHandler {
 public:
  virtual ~FaultHandler() = default;
  // Maps the page at `address` and returns true, or returns false: then the
  // fault is a bug of the kernel.
  virtual bool HandlePageFault(uint64_t address) = 0;
};

// Replaces the boot page tables: text read-only, data not executable.
void ClassInit();
void LoadRoot();
Pfn Root();

// Gives a new root table the kernel half.
void InitRoot(Pfn root);

// A range of virtual pages that `handler` fills on demand.
uint64_t Allocate(size_t pages, FaultHandler* handler);

// Lowest address of a stack that is mapped and has an unmapped page below it.
// At most kMaxStackPages.
constexpr size_t kMaxStackPages = 4;
uint64_t AllocateStack(size_t pages);
// Gives a stack back in two steps: between them, every core that may have
// touched it flushes its pages from the TLB.
void HideStack(uint64_t start, size_t pages);
void FreeStack(uint64_t start, size_t pages);

void Map(uint64_t address, Pfn pfn, uint64_t flags);

// Uncached access to a device's registers.
void* MapDevice(uint64_t physical, size_t size);

uint64_t CoreRegion(unsigned core);

bool HandleFault(uint64_t address);

}  // namespace ebbrt::vmem

#endif  // EBBRT_MM_VMEM_H_
