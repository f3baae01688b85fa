// The TCP/IP stack on this machine, on a wire whose other end is the test: it
// sees what was sent, and says what comes in and how time goes by.
#ifndef EBBRT_HOST_TESTS_HOSTNETWORK_H_
#define EBBRT_HOST_TESTS_HOSTNETWORK_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/NetworkRights.h"
#include "net/TcpSocket.h"

namespace ebbrt::test {

using Bytes = std::vector<std::byte>;

// A segment as the other side sees it, with the checksums left out.
struct Segment {
  static constexpr unsigned kFin = 1, kSyn = 2, kReset = 4, kPush = 8,
                            kAcknowledge = 16;
  std::uint16_t from = 0, to = 0;
  std::uint32_t sequence = 0, acknowledged = 0;
  unsigned flags = 0;
  unsigned window = 65535;
  Bytes data;
};

// A datagram that was sent.
struct SentDatagram {
  std::uint16_t from = 0, to = 0;
  Bytes data;
};

class HostNetwork final : public TcpIpHost, public NetworkClient {
 public:
  static constexpr std::uint32_t kOwn = 0x0a00020f;
  static constexpr std::uint32_t kPeer = 0x0a000202;
  static constexpr std::uint16_t kPort = 80;

  // The one stack of this process, and an empty wire.
  static HostNetwork& Get();

  TcpIp& stack() { return *stack_; }
  // How much lwIP holds.
  static std::size_t allocations();
  // Allocations fail from then on.
  static void SetShort(bool is_short);

  // Lets `ms` go by, and what is due then happen.
  void Pass(std::uint32_t ms);
  // The next that was sent as TCP; neighbours are answered for on the way.
  bool Next(Segment& segment);
  bool NextDatagram(SentDatagram& datagram);
  static Bytes DatagramFrame(std::uint32_t host, std::uint16_t from,
                             std::uint16_t to, std::string_view text);
  void PutDatagram(std::uint32_t host, std::uint16_t from, std::uint16_t to,
                   std::string_view text) {
    stack_->Input(DatagramFrame(host, from, to, text));
  }
  // The whole frame that carries a segment from the peer.
  static Bytes Frame(const Segment& segment);
  void Put(const Segment& segment);
  // A socket that is connected, and what the peer is to send next.
  RefPtr<TcpSocket> Connect(Segment& next);
  // Forgets all connections and what is on the wire.
  void Clear();

  bool Send(std::span<const std::span<const std::byte>> pieces) override;
  void Wake(unsigned core) override { woken_ |= 1u << core; }
  void StartTimers() override {}
  void NetworkChanged() override { ++changes; }
  const NetworkRights* network_rights() const override { return rights_.get(); }

  std::deque<Bytes> sent;
  unsigned changes = 0;

 private:
  HostNetwork();
  // The next frame that carries the protocol.
  bool next(int protocol, Bytes& frame);

  unsigned woken_ = 0;
  std::unique_ptr<NetworkRights> rights_;
  std::unique_ptr<TcpIp> stack_;
};

}  // namespace ebbrt::test

#endif  // EBBRT_HOST_TESTS_HOSTNETWORK_H_
