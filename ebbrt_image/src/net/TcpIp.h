// The TCP/IP stack: lwIP, which knows one thread only, behind one lock. Frames
// come in on one core; sockets are used on any.
//
// Every call into lwIP, and every call from it, is made with the lock held.
#ifndef EBBRT_NET_TCPIP_H_
#define EBBRT_NET_TCPIP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/SpinLock.h"
#include "files/SocketDescriptor.h"
#include "lib/IntrusiveList.h"
#include "net/SequenceNumbers.h"

struct netif;
struct pbuf;

namespace ebbrt {

using HardwareAddress = std::span<const std::byte, 6>;

// What the stack stands on. Called with the lock held.
class TcpIpHost {
 public:
  // The pieces make one Ethernet frame. False: it cannot be sent now.
  virtual bool Send(std::span<const std::span<const std::byte>> pieces) = 0;
  // TcpIp::TellChanged is to be called on this core.
  virtual void Wake(unsigned core) = 0;
  // There are timers to be run from now on.
  virtual void StartTimers() = 0;

 protected:
  ~TcpIpHost() = default;
};

// Something whose owner is told, on its own core, when it has changed.
class NetworkEndpoint : public IntrusiveListHook<NetworkEndpoint> {
 public:
  virtual void TellOwner() = 0;
  unsigned core() const { return core_; }

 protected:
  explicit NetworkEndpoint(unsigned core) : core_(core) {}
  ~NetworkEndpoint() = default;

 private:
  unsigned core_;
};

class TcpIp {
 public:
  static constexpr size_t kMaxFrame = 1514;
  static constexpr unsigned kMaxCores = 64;

  struct Address {
    uint32_t own = 0x0a00020f;  // 10.0.2.15, as QEMU's user network has it
    uint32_t mask = 0xffffff00;
    uint32_t gateway = 0x0a000202;  // 10.0.2.2
  };

  // Once.
  TcpIp(TcpIpHost& host, HardwareAddress hardware, const Address& address);
  TcpIp(const TcpIp&) = delete;
  TcpIp& operator=(const TcpIp&) = delete;

  // Null without a network.
  static TcpIp* Instance() { return instance_; }

  // Takes a frame that came in; whatever it holds.
  void Input(std::span<const std::byte> frame);
  // Runs the timers. Returns in how many ms to call again, or kNever: not until
  // StartTimers.
  static constexpr uint32_t kNever = ~uint32_t{0};
  uint32_t RunTimers();
  // Tells the owners of the core's endpoints that have changed.
  void TellChanged(unsigned core);

  // All connections are of another life of this machine: they count as reset,
  // and not a frame is sent for them. Datagrams that wait are gone, and their
  // sockets on other ports.
  void Forget();

  uint64_t connections();
  uint32_t own_address() const { return address_.own; }

  // For endpoints, with the lock held.
  void Changed(NetworkEndpoint& endpoint);
  void Remove(NetworkEndpoint& endpoint);
  // Called by lwIP when there is a connection, and before a datagram goes out.
  void NeedTimers();
  // Called by lwIP when a connection begins.
  uint32_t FirstNumber(InternetAddress local, InternetAddress peer);
  SpinLock& lock() { return lock_; }

 private:
  bool send(pbuf* frame);

  static TcpIp* instance_;
  TcpIpHost& host_;
  const Address address_;
  SpinLock lock_;
  netif* interface_;
  bool timers_run_ = false;
  uint32_t ticks_ = 0;
  std::optional<SequenceNumbers> sequence_numbers_;
  // Since somebody needed them.
  uint32_t idle_ticks_ = 0;
  IntrusiveList<NetworkEndpoint, NetworkEndpoint> changed_[kMaxCores];
};

}  // namespace ebbrt

#endif  // EBBRT_NET_TCPIP_H_
