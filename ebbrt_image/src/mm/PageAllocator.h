// Frames for everybody: a buddy allocator shared by all cores and a small cache
// of single frames on each, so that faults on different cores do not meet.
//
// Free frames are always zero: a frame is cleared when it is freed. So demand
// zero costs nothing, a dead UC leaves no secrets, and free memory needs no
// room in a snapshot.
#ifndef EBBRT_MM_PAGEALLOCATOR_H_
#define EBBRT_MM_PAGEALLOCATOR_H_

#include <cstddef>

#include "arch/SpinLock.h"
#include "ebb/EbbRef.h"
#include "ebb/StaticIds.h"
#include "mm/BuddyAllocator.h"
#include "mm/DirectMap.h"
#include "mm/Pfn.h"

namespace ebbrt {

class PageAllocator {
 public:
  // Builds the frame table from the boot memory map. Before the Ebb
  // translation is up, only AllocateEarly may be used.
  static void ClassInit();
  // Adds what the boot page tables do not map, once the direct map does.
  static void AddHighMemory();
  static Pfn AllocateEarly();
  static PageAllocator* HandleFault(EbbId id);

  // Zeroed frames with one reference, or Pfn::None().
  Pfn Allocate(unsigned order = 0);
  void Free(Pfn first, unsigned order = 0);

  // All free frames, the caches of all cores included.
  static size_t FreeFrames();
  static size_t TotalFrames();
  // Cheap and a little out of date: frames that no core has cached.
  static size_t UncachedFrames();

 private:
  static constexpr unsigned kCacheSize = 128;

  // Fills half of the cache; false if there is nothing.
  bool refill();

  // Taken by the owning core only, but counted by all.
  Pfn cache_[kCacheSize];
  unsigned cached_ = 0;
};

constexpr auto page_allocator = EbbRef<PageAllocator>(kPageAllocatorId);

// Reference counts of used frames: data frames and page tables alike.
namespace frames {

Frame& Get(Pfn pfn);
// True for a number the frame table covers.
bool IsRam(Pfn pfn);

inline void AddReference(Pfn pfn) {
  Get(pfn).references.fetch_add(1, std::memory_order_relaxed);
}

inline uint32_t References(Pfn pfn) {
  return Get(pfn).references.load(std::memory_order_acquire);
}

// True if the caller dropped the last reference; it must then free the frame.
inline bool DropReference(Pfn pfn) {
  return Get(pfn).references.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

// Drops a reference and frees the frame with the last one.
void Release(Pfn pfn);

}  // namespace frames

}  // namespace ebbrt

#endif  // EBBRT_MM_PAGEALLOCATOR_H_
