// One end of a connected pair of Unix stream sockets.
#ifndef EBBRT_FILES_SOCKETEND_H_
#define EBBRT_FILES_SOCKETEND_H_

#include "files/ByteChannel.h"
#include "files/SocketDescriptor.h"

namespace ebbrt {

class SocketEnd : public SocketDescriptor {
 public:
  // `status`: kOpenNonBlock or 0.
  SocketEnd(RefPtr<ByteChannel> incoming, RefPtr<ByteChannel> outgoing,
            int status);
  static RefPtr<SocketEnd> Load(StateReader& reader, StateCursor& body,
                                int flags);
  ~SocketEnd() override;

  bool internet() const override { return false; }
  Result<void> Connect(InternetAddress) override { return Errno::kIsConnected; }
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int how) override;

  Result<std::size_t> Available() const override;
  std::uint32_t Ready() const override;
  std::uint32_t activity() const override;

  // For the stream socket that has it inside.
  StateKind Save(StateWriter& writer, StateBuffer& body) const override;

 protected:
  SocketEnd(const SocketEnd& source, CloneMap& map);

  RefPtr<Descriptor> DoClone(CloneMap& map) const override;
  Result<std::size_t> DoRead(std::span<std::byte> bytes) override;
  Result<std::size_t> DoWrite(std::span<const std::byte> bytes) override;

 private:
  RefPtr<ByteChannel> incoming_;
  RefPtr<ByteChannel> outgoing_;
};

struct SocketPair {
  RefPtr<SocketEnd> first;
  RefPtr<SocketEnd> second;
};
SocketPair MakeSocketPair(int status);

}  // namespace ebbrt

#endif  // EBBRT_FILES_SOCKETEND_H_
