// Memory that the host fills with snapshots' pages and that all nodes of the
// host map, read-only for guests (seuss.shared=ADDRESS@SIZE on the command
// line). Its frames can be borrowed like any others; nobody frees them.
#ifndef EBBRT_MM_SHAREDREGION_H_
#define EBBRT_MM_SHAREDREGION_H_

#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt::shared_region {

// Bounds in physical memory, multiples of the page size; both 0 if there is no
// such region.
uint64_t Start();
uint64_t End();

// Gives each frame the reference that keeps it for ever.
void Init();

// The frame at a place in the region, or Pfn::None() beyond its end.
Pfn At(uint64_t index);

}  // namespace ebbrt::shared_region

#endif  // EBBRT_MM_SHAREDREGION_H_
