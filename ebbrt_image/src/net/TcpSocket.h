// A TCP connection out of a UC, made by it. To be used on the UC's core.
#ifndef EBBRT_NET_TCPSOCKET_H_
#define EBBRT_NET_TCPSOCKET_H_

#include "net/NetworkClient.h"
#include "net/TcpIp.h"

struct tcp_pcb;

namespace ebbrt {

class TcpSocket final : public SocketDescriptor, private NetworkEndpoint {
 public:
  TcpSocket(TcpIp& stack, NetworkClient& client, unsigned core, int status);
  ~TcpSocket() override;

  InternetAddress local() const override;
  std::optional<InternetAddress> peer() const override;
  // kAccess: not among the UC's rights.
  Result<void> Connect(InternetAddress address) override;
  Result<void> Connected() override;
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int how) override;
  int TakeError() override;
  void SetNoDelay(bool on) override;
  Result<std::size_t> Available() const override;
  // Unread and not acknowledged.
  std::size_t Held() const override;
  std::uint32_t Ready() const override;
  std::uint32_t activity() const override;

 protected:
  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  enum class State { kNew, kConnecting, kConnected, kOver };

  // What lwIP calls.
  struct Callbacks;

  void TellOwner() override { client_.NetworkChanged(); }
  void changed();
  void finish(Errno error);
  // Hears no more of the connection, which is returned.
  tcp_pcb* detach();
  bool begin(InternetAddress address);
  Result<std::size_t> take(std::span<std::byte> bytes, bool keep);

  TcpIp& stack_;
  NetworkClient& client_;
  // Null before Connect and when lwIP has given it up.
  tcp_pcb* pcb_ = nullptr;
  State state_ = State::kNew;
  InternetAddress local_;
  InternetAddress peer_;
  // What came and was not read; lwIP's window is as much smaller.
  pbuf* received_ = nullptr;
  bool peer_done_ = false;
  bool read_shut_ = false;
  bool write_shut_ = false;
  bool no_delay_ = false;
  Errno error_ = {};
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_TCPSOCKET_H_
