// Objects of one size, cut from single frames. A frame whose last object is
// freed goes back to the page allocator, except for one kept in reserve.
#ifndef EBBRT_MM_SLABALLOCATOR_H_
#define EBBRT_MM_SLABALLOCATOR_H_

#include <cstddef>
#include <cstdint>

#include "arch/SpinLock.h"
#include "mm/Frame.h"

namespace ebbrt {

class SlabAllocator {
 public:
  explicit constexpr SlabAllocator(uint32_t object_size)
      : object_size_(object_size) {}

  void* Allocate();
  void Free(void* object);

  uint32_t object_size() const { return object_size_; }

  // The allocator that an object of a slab frame came from.
  static SlabAllocator& Owner(void* object) { return *slab_of(object)->owner; }

 private:
  // Lies at the start of each slab frame.
  struct Slab {
    Slab* next;
    Slab* previous;
    void* free_list;
    uint32_t used;
    uint32_t never_used;  // offset of the part no object was cut from yet
    SlabAllocator* owner;
  };

  static Slab* slab_of(void* object);
  bool full(const Slab& slab) const;
  void link(Slab* slab);
  void unlink(Slab* slab);

  SpinLock lock_;
  uint32_t object_size_;
  Slab* partial_ = nullptr;
  Slab* reserve_ = nullptr;
};

}  // namespace ebbrt

#endif  // EBBRT_MM_SLABALLOCATOR_H_
