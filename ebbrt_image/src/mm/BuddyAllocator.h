// Binary buddy allocator over a frame table. Pure logic: the caller locks.
#ifndef EBBRT_MM_BUDDYALLOCATOR_H_
#define EBBRT_MM_BUDDYALLOCATOR_H_

#include <cstddef>
#include <cstdint>

#include "mm/Frame.h"

namespace ebbrt {

class BuddyAllocator {
 public:
  static constexpr unsigned kMaxOrder = 11;  // 8 MiB

  // `frames` describes the frames 0..count-1, all reserved at first.
  void Init(Frame* frames, size_t count);

  // Gives the allocator `count` reserved frames.
  void AddRange(Pfn first, size_t count);

  // 2^order frames aligned to their size, or Pfn::None() when there are none.
  // The last freed block comes first, so that memory in use stays compact.
  Pfn Allocate(unsigned order);

  void Free(Pfn first, unsigned order);

  size_t free_frames() const { return free_frames_; }

  // Walks every list and checks every link; for tests.
  bool Check() const;

 private:
  // True for every frame of a free block.
  bool is_free(uint32_t index) const;
  void push(uint32_t index, unsigned order);
  void remove(uint32_t index, unsigned order);

  Frame* frames_ = nullptr;
  size_t count_ = 0;
  size_t free_frames_ = 0;
  uint32_t heads_[kMaxOrder + 1];
};

}  // namespace ebbrt

#endif  // EBBRT_MM_BUDDYALLOCATOR_H_
