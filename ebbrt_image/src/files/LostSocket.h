// What a snapshot keeps of a socket of the network: that it was there. To its
// UC it looks like a connection that the other side has reset.
#ifndef EBBRT_FILES_LOSTSOCKET_H_
#define EBBRT_FILES_LOSTSOCKET_H_

#include "files/SocketDescriptor.h"

namespace ebbrt {

class LostSocket final : public SocketDescriptor {
 public:
  LostSocket(SocketType type, int flags);
  static RefPtr<Descriptor> Load(StateCursor& body, int flags);
  // What Save writes, for the sockets that become one.
  static StateKind SaveAs(SocketType type, StateBuffer& body);

  SocketType type() const override { return type_; }
  Result<void> Connect(InternetAddress) override {
    return Errno::kConnectionReset;
  }
  Result<void> Connected() override { return Errno::kConnectionReset; }
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int) override { return Errno::kNotConnected; }
  int TakeError() override;
  Result<std::size_t> Available() const override { return std::size_t{0}; }
  std::uint32_t Ready() const override;

 protected:
  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  SocketType type_;
  // The reset is told once; after that there is the end.
  bool told_ = false;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_LOSTSOCKET_H_
