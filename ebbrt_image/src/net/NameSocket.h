// A datagram socket. There is one thing to say to: the name server, which is
// the kernel itself.
#ifndef EBBRT_NET_NAMESOCKET_H_
#define EBBRT_NET_NAMESOCKET_H_

#include "files/SocketDescriptor.h"
#include "lib/Vector.h"
#include "net/NameAnswer.h"
#include "net/NetworkClient.h"

namespace ebbrt {

class NameSocket final : public SocketDescriptor {
 public:
  NameSocket(NetworkClient& client, int status)
      : SocketDescriptor(status), client_(client) {}

  SocketType type() const override { return SocketType::kDatagram; }
  std::optional<InternetAddress> peer() const override;
  // kAccess for all others than the name server.
  Result<void> Connect(InternetAddress address) override;
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int how) override;
  Result<std::size_t> Available() const override;
  std::uint32_t Ready() const override;
  std::uint32_t activity() const override { return activity_; }

 protected:
  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  struct Message {
    std::byte bytes[kMaxNameMessage];
    size_t size;
  };
  // Further questions are lost, as they may be on a network.
  static constexpr size_t kMaxWaiting = 8;

  NetworkClient& client_;
  bool connected_ = false;
  Vector<Message> answers_;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NET_NAMESOCKET_H_
