// What all sockets can be asked; a kind overrides what it can do. As with every
// descriptor, nothing waits: kAgain says that it is to be tried again.
#ifndef EBBRT_FILES_SOCKETDESCRIPTOR_H_
#define EBBRT_FILES_SOCKETDESCRIPTOR_H_

#include <optional>

#include "files/Descriptor.h"
#include "lib/Vector.h"

namespace ebbrt {

// In the order of the CPU, not of the wire.
struct InternetAddress {
  std::uint32_t host = 0;
  std::uint16_t port = 0;
  bool operator==(const InternetAddress&) const = default;
};

// As descriptors save it: u32 host, u16 port.
void SaveAddress(InternetAddress address, StateBuffer& body);
InternetAddress LoadAddress(StateCursor& body);

enum class SocketType { kStream, kDatagram };

struct Datagram {
  InternetAddress from;
  Vector<std::byte> bytes;
};

class DatagramSocket;
class StreamSocket;

class SocketDescriptor : public Descriptor {
 public:
  virtual SocketType type() const { return SocketType::kStream; }
  // An internet socket has names, one of a pair has none.
  virtual bool internet() const { return true; }
  virtual InternetAddress local() const { return {}; }
  virtual std::optional<InternetAddress> peer() const { return std::nullopt; }

  // The address inside the UC that no other socket of its type may have.
  virtual std::optional<InternetAddress> claimed() const {
    return std::nullopt;
  }
  // Themselves for these classes.
  virtual StreamSocket* as_stream() { return nullptr; }
  virtual DatagramSocket* as_datagram() { return nullptr; }

  // Begins; kInProgress while it goes on, kAlready for a second call then.
  virtual Result<void> Connect(InternetAddress) { return Errno::kNotSupported; }
  // kAgain while a connection is being made, then what came of it.
  virtual Result<void> Connected() { return {}; }
  virtual Result<void> Bind(InternetAddress) { return Errno::kNotSupported; }
  virtual Result<void> Listen(int) { return Errno::kNotSupported; }
  // `status`: flags of the new descriptor.
  virtual Result<RefPtr<Descriptor>> Accept(int) { return Errno::kInvalid; }

  // Of datagram sockets. Without an address: to whom it is connected.
  virtual Result<std::size_t> SendTo(std::span<const std::byte>,
                                     std::optional<InternetAddress>) {
    return Errno::kNotSupported;
  }
  // The first that waits, which stays if `keep`.
  virtual Result<Datagram> Receive(bool) { return Errno::kNotSupported; }

  // recv with MSG_PEEK.
  virtual Result<std::size_t> Peek(std::span<std::byte> bytes) = 0;
  // `how`: an abi::kShutdown value, else kInvalid.
  virtual Result<void> Shutdown(int how) = 0;
  // SO_ERROR: what went wrong since it was asked last; 0 if nothing did.
  virtual int TakeError() { return 0; }
  virtual void SetNoDelay(bool) {}
  // SO_ACCEPTCONN.
  virtual bool listening() const { return false; }

  // Bytes that the kernel keeps for it.
  virtual std::size_t Held() const {
    auto available = Available();
    return available ? *available : 0;
  }

  Result<void> GetStat(abi::Stat& stat) const override;

 protected:
  explicit SocketDescriptor(int status)
      : Descriptor(Kind::kSocket, abi::kOpenReadWrite | status) {}
  explicit SocketDescriptor(const SocketDescriptor& source) = default;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_SOCKETDESCRIPTOR_H_
