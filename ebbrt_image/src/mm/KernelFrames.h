// The PageTableTree's view of the kernel's frames.
#pragma once

#include "mm/DirectMap.h"
#include "mm/PageAllocator.h"

namespace ebbrt {

struct KernelFrames {
  static void* Pointer(Pfn pfn) { return ToPointer(pfn); }
  static Pfn AllocateTable() { return page_allocator->Allocate(); }
  static void AddReference(Pfn pfn) { frames::AddReference(pfn); }
  static uint32_t References(Pfn pfn) { return frames::References(pfn); }
  static bool DropReference(Pfn pfn) { return frames::DropReference(pfn); }
  static void Free(Pfn pfn) { page_allocator->Free(pfn); }
};

}  // namespace ebbrt
