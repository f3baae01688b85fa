// A datagram socket. What it sends to the UC's own addresses waits at the
// socket that is bound there, or is answered by a server that the kernel plays;
// the rest goes outwards.
//
// A snapshot keeps addresses and what waits here. A way outwards is made anew.
#ifndef EBBRT_FILES_DATAGRAMSOCKET_H_
#define EBBRT_FILES_DATAGRAMSOCKET_H_

#include "files/InternetSocket.h"

namespace ebbrt {

class DatagramSocket final : public InternetSocket {
 public:
  static constexpr std::size_t kMaxSize = 65507;
  // Of what waits here, headers included. More is lost, as on a network.
  static constexpr std::size_t kMaxWaiting = 128 << 10;

  // `owner` is null in a prototype.
  DatagramSocket(SocketOwner* owner, int status);
  static RefPtr<Descriptor> Load(StateCursor& body, int flags);

  SocketType type() const override { return SocketType::kDatagram; }
  InternetAddress local() const override;
  std::optional<InternetAddress> peer() const override { return peer_; }
  DatagramSocket* as_datagram() override { return this; }

  Result<void> Connect(InternetAddress address) override;
  Result<void> Bind(InternetAddress address) override;
  Result<std::size_t> SendTo(std::span<const std::byte> bytes,
                             std::optional<InternetAddress> to) override;
  Result<Datagram> Receive(bool keep) override;
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int how) override;
  int TakeError() override;
  // The size of the next.
  Result<std::size_t> Available() const override;
  std::size_t Held() const override;
  std::uint32_t Ready() const override;
  std::uint32_t activity() const override;

 protected:
  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  static constexpr std::size_t kHeaderCost = 64;

  Result<void> claim_any();
  Result<std::size_t> take(std::span<std::byte> bytes, bool keep);
  Result<OutwardDatagrams*> outward();
  Result<std::size_t> send_within(std::span<const std::byte> bytes,
                                  InternetAddress to);
  bool takes_from(InternetAddress from) const {
    return !peer_ || *peer_ == from;
  }
  // False if it cannot keep more.
  bool deliver(InternetAddress from, std::span<const std::byte> bytes);

  bool read_shut_ = false;
  bool write_shut_ = false;
  // Nobody was there.
  bool refused_ = false;
  std::optional<InternetAddress> peer_;
  Vector<Datagram> waiting_;
  std::size_t held_ = 0;
  std::unique_ptr<OutwardDatagrams> outward_;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_DATAGRAMSOCKET_H_
