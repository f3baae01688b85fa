// How a virtio device is reached: by memory-mapped registers on microvm, over
// PCI on q35.
#ifndef EBBRT_VIRTIO_VIRTIOTRANSPORT_H_
#define EBBRT_VIRTIO_VIRTIOTRANSPORT_H_

#include <cstdint>
#include <memory>

#include "event/MovableFunction.h"

namespace ebbrt {

class Virtqueue;

class VirtioTransport {
 public:
  static constexpr uint32_t kNetwork = 1;
  static constexpr uint32_t kConsole = 3;

  // The first device of a kind, or null.
  static std::unique_ptr<VirtioTransport> Find(uint32_t device_id);

  virtual ~VirtioTransport() = default;

  // Resets the device and agrees on those of the wanted features that it has.
  virtual void Negotiate(uint64_t wanted) = 0;
  virtual void SetUpQueue(unsigned index, const Virtqueue& queue) = 0;
  // `handler` runs on this core, with interrupts off, and must not block.
  virtual void SetHandler(MovableFunction<void()> handler) = 0;
  virtual void Ready() = 0;
  virtual void Notify(unsigned queue) = 0;
  // The device speaks the interface from before version 1.
  virtual bool legacy() const = 0;
  // A byte of the device's own configuration.
  virtual uint8_t ReadConfiguration(unsigned offset) const = 0;

 protected:
  static constexpr uint32_t kStatusAcknowledge = 1;
  static constexpr uint32_t kStatusDriver = 2;
  static constexpr uint32_t kStatusReady = 4;
  static constexpr uint32_t kStatusFeatures = 8;
  static constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTIOTRANSPORT_H_
