// The byte channel to the host: port 0 of a virtio console without multiport
// (virtio 1.1, section 5.3).
#ifndef EBBRT_VIRTIO_VIRTIOCONSOLE_H_
#define EBBRT_VIRTIO_VIRTIOCONSOLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "event/MovableFunction.h"
#include "event/WaitQueue.h"
#include "mm/Pfn.h"
#include "virtio/VirtioTransport.h"
#include "virtio/Virtqueue.h"

namespace ebbrt {

class VirtioConsole {
 public:
  // Gets bytes as they come, in an event of core 0.
  using Receiver = MovableFunction<void(std::span<const std::byte>)>;

  // Null when the machine has no console.
  static std::unique_ptr<VirtioConsole> Create(Receiver receiver);

  static constexpr size_t kBufferSize = 4096;

  // Puts at most kBufferSize bytes, in two parts, into one buffer; false if
  // none is free. Any core; Notify then has them sent.
  bool TryOffer(std::span<const std::byte> head,
                std::span<const std::byte> rest);
  void Notify() { device_->Notify(kTransmitQueue); }

  // Sends all bytes, in order; blocks the event while the host does not read.
  // Core 0 only. What does not fill a buffer leaves with Flush.
  void Write(std::span<const std::byte> bytes);
  void Flush();
  // All of these: one writer at a time.

 private:
  static constexpr unsigned kReceiveQueue = 0;
  static constexpr unsigned kTransmitQueue = 1;
  static constexpr unsigned kTransmitBuffers = 16;
  // Short, since the device starts a new one with each frame: what a request
  // writes to is copied in every clone.
  static constexpr unsigned kReceiveSize = 1024;
  static constexpr unsigned kReceivePages = 16;
  static constexpr unsigned kReceiveBuffers =
      kReceivePages * kPageSize / kReceiveSize;
  static_assert(kReceiveBuffers <= Virtqueue::kSize);
  static constexpr unsigned kNone = ~0u;

  VirtioConsole(std::unique_ptr<VirtioTransport> device, Receiver receiver);
  void handle_interrupt();
  void process();
  std::byte* receive_buffer(unsigned number) const;
  bool reclaim();
  void wait_for_buffer();

  std::unique_ptr<VirtioTransport> device_;
  Receiver receiver_;
  Virtqueue receive_;
  Virtqueue transmit_;
  std::byte* receive_pages_[kReceivePages];
  std::byte* transmit_buffers_[kTransmitBuffers];
  // The one last used is used next: few pages are written to.
  unsigned free_transmit_[kTransmitBuffers];
  unsigned free_count_ = 0;
  // The transmit buffer that is being filled.
  unsigned filling_ = kNone;
  size_t filled_ = 0;
  bool processing_ = false;
  WaitQueue writers_;
};

}  // namespace ebbrt

#endif  // EBBRT_VIRTIO_VIRTIOCONSOLE_H_
