// The network of this machine: its card under the TCP/IP stack, whose timers
// run on core 0. It exists if the machine has a card.
#ifndef EBBRT_NET_NETWORKSTACK_H_
#define EBBRT_NET_NETWORKSTACK_H_

#include <memory>

#include "event/Timer.h"
#include "net/TcpIp.h"
#include "virtio/VirtioNet.h"

namespace ebbrt {

class NetworkStack final : public TcpIpHost, private Timer::Hook {
 public:
  // On core 0. TcpIp::Instance() is null afterwards if there is no card.
  // Kernel command line: seuss.network=ADDRESS/BITS,GATEWAY; without it, what
  // QEMU's user network gives.
  static void Init();

  // Frames so far.
  static uint64_t Sent();
  static uint64_t Received();

  bool Send(std::span<const std::span<const std::byte>> pieces) override;
  void Wake(unsigned core) override;
  void StartTimers() override;

 private:
  void Fire() override;
  void run_timers();

  std::unique_ptr<VirtioNet> card_;
  std::unique_ptr<TcpIp> stack_;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_NETWORKSTACK_H_
