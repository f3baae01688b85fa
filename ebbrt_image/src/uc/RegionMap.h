// The regions of one address space, in order and without overlap. Pure logic.
#ifndef EBBRT_UC_REGIONMAP_H_
#define EBBRT_UC_REGIONMAP_H_

#include <cstdint>

#include "lib/Vector.h"
#include "uc/Region.h"

namespace ebbrt {

class RegionMap {
 public:
  // A UC cannot make the kernel keep more regions than this.
  static constexpr size_t kMaxRegions = 4096;

  RegionMap Clone() const;

  // The region that holds `address`, or null.
  const Region* Find(uint64_t address) const;

  // True if there are no regions in [start, end).
  bool Free(uint64_t start, uint64_t end) const;

  // True if every byte of [start, end) lies in some region.
  bool Covers(uint64_t start, uint64_t end) const;

  // The highest free range of `size` bytes in [low, high), or 0.
  uint64_t FindFree(uint64_t size, uint64_t low, uint64_t high) const;

  // The range must be free. Joins with neighbours of the same kind.
  bool Insert(const Region& region);

  // Cuts [start, end) out. False if that would make too many regions.
  bool Remove(uint64_t start, uint64_t end);

  // Changes the protection of all regions in [start, end).
  bool Protect(uint64_t start, uint64_t end, Protection protection);

  const Vector<Region>& regions() const { return regions_; }
  uint64_t mapped_bytes() const;
  void Clear() { regions_.Clear(); }

 private:
  // Index of the first region that ends behind `address`.
  size_t first_after(uint64_t address) const;
  // False if borders at these two addresses would make too many regions.
  bool may_split(uint64_t start, uint64_t end) const;
  // Makes `address` a border between regions.
  void split(uint64_t address);
  void join(size_t index);

  Vector<Region> regions_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_REGIONMAP_H_
