// A virtio device on the PCI bus (virtio 1.1, section 4.1), with one MSI-X
// interrupt for all its queues.
#ifndef EBBRT_VIRTIO_VIRTIOPCI_H_
#define EBBRT_VIRTIO_VIRTIOPCI_H_

#include <cstdint>
#include <memory>

#include "arch/Pci.h"
#include "virtio/VirtioTransport.h"

namespace ebbrt {

class VirtioPci final : public VirtioTransport {
 public:
  static std::unique_ptr<VirtioPci> Find(uint32_t device_id);

  void Negotiate(uint64_t wanted) override;
  void SetUpQueue(unsigned index, const Virtqueue& queue) override;
  void SetHandler(MovableFunction<void()> handler) override;
  void Ready() override;
  void Notify(unsigned queue) override;
  bool legacy() const override { return false; }
  uint8_t ReadConfiguration(unsigned offset) const override {
    return configuration_[offset];
  }

 private:
  // The common configuration structure.
  struct Common {
    uint32_t device_feature_select;
    uint32_t device_feature;
    uint32_t driver_feature_select;
    uint32_t driver_feature;
    uint16_t config_vector;
    uint16_t queue_count;
    uint8_t status;
    uint8_t generation;
    uint16_t queue_select;
    uint16_t queue_size;
    uint16_t queue_vector;
    uint16_t queue_enable;
    uint16_t queue_notify_offset;
    uint32_t queue_descriptors[2];
    uint32_t queue_driver[2];
    uint32_t queue_device[2];
  };
  static_assert(sizeof(Common) == 56);
  static_assert(offsetof(Common, queue_descriptors) == 32);

  static constexpr unsigned kMaxQueues = 8;

  explicit VirtioPci(PciDevice device) : device_(device) {}
  bool map_structures();
  void* map(unsigned bar, uint32_t offset, uint32_t length);

  PciDevice device_;
  volatile Common* common_ = nullptr;
  volatile uint8_t* notify_ = nullptr;
  volatile uint8_t* configuration_ = nullptr;
  uint32_t notify_multiplier_ = 0;
  uint32_t notify_offsets_[kMaxQueues] = {};
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTIOPCI_H_
