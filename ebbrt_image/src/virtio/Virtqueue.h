// A split virtqueue (virtio 1.1, section 2.6) of single buffers. What the
// device writes is checked before it is used.
#ifndef EBBRT_VIRTIO_VIRTQUEUE_H_
#define EBBRT_VIRTIO_VIRTQUEUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ebbrt {

class Virtqueue {
 public:
  static constexpr unsigned kSize = 128;
  static constexpr unsigned kUsedAlignment = 64;

  struct Used {
    unsigned descriptor;
    uint32_t length;
  };

  Virtqueue();
  Virtqueue(const Virtqueue&) = delete;
  Virtqueue& operator=(const Virtqueue&) = delete;

  // Physical addresses of the three parts.
  uint64_t descriptors() const;
  uint64_t available() const;
  uint64_t used() const;

  // Offers a buffer under a descriptor number that the caller keeps track of.
  void Offer(unsigned descriptor, const void* buffer, uint32_t length,
             bool device_writes);

  // The next buffer that the device is done with.
  std::optional<Used> Take();

  // Whether the device may have found no buffer before the last `offered` ones:
  // it wants to be notified then.
  bool RanDry(unsigned offered) const;

  // Whether the device is to interrupt when it is done with buffers. Take once
  // more after switching on.
  void SetInterrupts(bool on);

 private:
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  struct Available {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[kSize];
    uint16_t used_event;
  };
  struct UsedElement {
    uint32_t id;
    uint32_t length;
  };
  struct UsedRing {
    uint16_t flags;
    uint16_t index;
    UsedElement ring[kSize];
    uint16_t available_event;
  };
  static_assert(sizeof(Descriptor) == 16);
  static_assert(sizeof(UsedElement) == 8);
  static_assert(offsetof(UsedRing, ring) == 4);

  // All on one page, so that a request writes to one. The legacy interface
  // fixes the order and is told the alignment.
  struct Layout {
    Descriptor descriptors[kSize];
    Available available;
    alignas(kUsedAlignment) UsedRing used;
  };

  Layout* layout_;
  uint16_t next_available_ = 0;
  uint16_t next_used_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTQUEUE_H_
