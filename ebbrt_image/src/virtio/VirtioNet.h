// A network card (virtio 1.1, section 5.1): one pair of queues, frames whole in
// one buffer each, nothing offloaded.
#ifndef EBBRT_VIRTIO_VIRTIONET_H_
#define EBBRT_VIRTIO_VIRTIONET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "event/MovableFunction.h"
#include "virtio/VirtioTransport.h"
#include "virtio/Virtqueue.h"

namespace ebbrt {

class VirtioNet {
 public:
  // Gets each frame as it comes, in an event of core 0. Must not block.
  using Receiver = MovableFunction<void(std::span<const std::byte>)>;

  // Null when the machine has no card. On core 0.
  static std::unique_ptr<VirtioNet> Create(Receiver receiver);

  std::span<const std::byte, 6> address() const { return address_; }

  // Sends the pieces as one frame; false when all buffers are under way or it
  // is too long. On any core, one caller at a time.
  bool Send(std::span<const std::span<const std::byte>> pieces);

  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }

 private:
  static constexpr unsigned kReceiveQueue = 0;
  static constexpr unsigned kTransmitQueue = 1;
  static constexpr unsigned kBuffers = Virtqueue::kSize;
  static constexpr size_t kBufferSize = 2048;
  // As many frames are taken before others get the core.
  static constexpr unsigned kBurst = 32;
  // Before each frame: flags and lengths of offloads, all zero.
  static constexpr size_t kHeader = 12;
  static constexpr size_t kLegacyHeader = 10;

  VirtioNet(std::unique_ptr<VirtioTransport> device, Receiver receiver);
  void handle_interrupt();
  void process();

  std::unique_ptr<VirtioTransport> device_;
  Receiver receiver_;
  size_t header_;
  std::array<std::byte, 6> address_;
  Virtqueue receive_;
  Virtqueue transmit_;
  std::byte* receive_buffers_[kBuffers];
  std::byte* transmit_buffers_[kBuffers];
  unsigned free_transmit_[kBuffers];
  unsigned free_count_ = 0;
  bool processing_ = false;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTIONET_H_
