// The PageTableTree's view of the kernel's frames. What UCs make the kernel
// allocate stops short of the last frames, which are the kernel's own.
#ifndef EBBRT_MM_KERNELFRAMES_H_
#define EBBRT_MM_KERNELFRAMES_H_

#include "mm/DirectMap.h"
#include "mm/PageAllocator.h"

namespace ebbrt {

// Frames that UCs cannot get at, neither for data nor for tables.
constexpr size_t kKernelReserve = 1024;

struct KernelFrames {
  static void* Pointer(Pfn pfn) { return ToPointer(pfn); }
  // For whatever a UC makes the kernel keep.
  static Pfn Allocate() {
    return PageAllocator::UncachedFrames() > kKernelReserve
               ? page_allocator->Allocate()
               : Pfn::None();
  }
  static Pfn AllocateTable() { return Allocate(); }
  static void AddReference(Pfn pfn) { frames::AddReference(pfn); }
  static uint32_t References(Pfn pfn) { return frames::References(pfn); }
  static bool DropReference(Pfn pfn) { return frames::DropReference(pfn); }
  static void Free(Pfn pfn) { page_allocator->Free(pfn); }
};

}  // namespace ebbrt

#endif  // EBBRT_MM_KERNELFRAMES_H_
