// A virtio device behind memory-mapped registers (virtio 1.1, section 4.2), in
// its present and its legacy form.
#ifndef EBBRT_VIRTIO_VIRTIOMMIO_H_
#define EBBRT_VIRTIO_VIRTIOMMIO_H_

#include <cstdint>
#include <memory>

#include "virtio/VirtioTransport.h"

namespace ebbrt {

class VirtioMmio final : public VirtioTransport {
 public:
  // Finds the first device of a kind among those on the kernel command line,
  // where microvm lists them (virtio_mmio.device=SIZE@ADDRESS:LINE).
  static std::unique_ptr<VirtioMmio> Find(uint32_t device_id);

  void Negotiate(uint64_t wanted) override;
  void SetUpQueue(unsigned index, const Virtqueue& queue) override;
  void SetHandler(MovableFunction<void()> handler) override;
  void Ready() override;
  void Notify(unsigned queue) override { write(kQueueNotify, queue); }
  bool legacy() const override { return legacy_; }
  uint8_t ReadConfiguration(unsigned offset) const override {
    return *reinterpret_cast<volatile uint8_t*>(base_ + kConfiguration +
                                                offset);
  }

 private:
  static constexpr uint32_t kMagic = 0x000;
  static constexpr uint32_t kVersion = 0x004;
  static constexpr uint32_t kDeviceId = 0x008;
  static constexpr uint32_t kDeviceFeatures = 0x010;
  static constexpr uint32_t kDeviceFeaturesSelect = 0x014;
  static constexpr uint32_t kDriverFeatures = 0x020;
  static constexpr uint32_t kDriverFeaturesSelect = 0x024;
  static constexpr uint32_t kLegacyPageSize = 0x028;
  static constexpr uint32_t kQueueSelect = 0x030;
  static constexpr uint32_t kQueueSizeMax = 0x034;
  static constexpr uint32_t kQueueSize = 0x038;
  static constexpr uint32_t kLegacyQueueAlign = 0x03c;
  static constexpr uint32_t kLegacyQueuePfn = 0x040;
  static constexpr uint32_t kQueueReady = 0x044;
  static constexpr uint32_t kQueueNotify = 0x050;
  static constexpr uint32_t kInterruptStatus = 0x060;
  static constexpr uint32_t kInterruptAcknowledge = 0x064;
  static constexpr uint32_t kStatus = 0x070;
  static constexpr uint32_t kQueueDescriptors = 0x080;
  static constexpr uint32_t kQueueDriver = 0x090;
  static constexpr uint32_t kQueueDevice = 0x0a0;
  static constexpr uint32_t kConfiguration = 0x100;

  VirtioMmio(uint64_t address, unsigned line);

  uint32_t read(uint32_t reg) const {
    return *reinterpret_cast<volatile uint32_t*>(base_ + reg);
  }
  void write(uint32_t reg, uint32_t value) {
    *reinterpret_cast<volatile uint32_t*>(base_ + reg) = value;
  }
  void write64(uint32_t reg, uint64_t value) {
    write(reg, static_cast<uint32_t>(value));
    write(reg + 4, static_cast<uint32_t>(value >> 32));
  }

  uint64_t base_;
  unsigned line_;
  bool legacy_;
  MovableFunction<void()> handler_;
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTIOMMIO_H_
