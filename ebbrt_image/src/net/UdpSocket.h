// The datagrams of a UC on the network. To be used on the UC's core.
#ifndef EBBRT_NET_UDPSOCKET_H_
#define EBBRT_NET_UDPSOCKET_H_

#include <memory>

#include "files/OutwardDatagrams.h"
#include "net/NetworkClient.h"
#include "net/TcpIp.h"

struct udp_pcb;

namespace ebbrt {

class UdpSocket final : public OutwardDatagrams, private NetworkEndpoint {
 public:
  // Null if memory is short.
  static std::unique_ptr<UdpSocket> Open(TcpIp& stack, NetworkClient& client,
                                         unsigned core);
  ~UdpSocket() override;

  InternetAddress local() const override;
  Result<std::size_t> Send(InternetAddress to,
                           std::span<const std::byte> bytes) override;
  // What comes from others than the UC may reach is dropped here.
  Result<Datagram> Receive(bool keep) override;
  std::size_t bytes() const override;
  bool readable() const override;
  std::uint32_t activity() const override;

 private:
  // What lwIP calls.
  struct Callbacks;

  // More are lost. One is of one frame.
  static constexpr std::size_t kMaxWaiting = 32;
  static constexpr std::size_t kMaxSize = 1472;

  struct Waiting {
    InternetAddress from;
    pbuf* data;
  };

  UdpSocket(TcpIp& stack, NetworkClient& client, unsigned core, udp_pcb* pcb);
  void TellOwner() override { client_.NetworkChanged(); }
  void take(pbuf* data, InternetAddress from);
  // Has a port of chance; false if too many are in use.
  static bool bind(udp_pcb* pcb);
  // Is as new, on another port.
  void forget();
  void drop_first();

  TcpIp& stack_;
  NetworkClient& client_;
  udp_pcb* pcb_;
  // The first `count_`, in order.
  Waiting waiting_[kMaxWaiting];
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_UDPSOCKET_H_
