// What the kernel knows of each physical frame. The links live here and not in
// the frames, so that free memory stays untouched and snapshots stay small.
#ifndef EBBRT_MM_FRAME_H_
#define EBBRT_MM_FRAME_H_

#include <atomic>
#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt {

// kCached: free, in the cache of a core.
enum class FrameState : uint8_t { kReserved, kFree, kUsed, kSlab, kCached };

struct Frame {
  static constexpr uint32_t kNoLink = ~uint32_t{0};

  std::atomic<uint32_t> references;
  uint32_t next;
  uint32_t previous;
  FrameState state;
  uint8_t order;
  uint16_t slab_used;
};

static_assert(sizeof(Frame) == 16);

}  // namespace ebbrt

#endif  // EBBRT_MM_FRAME_H_
