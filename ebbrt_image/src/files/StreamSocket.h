// A stream socket as programs make it. What it is comes with its use: a
// listener or one end of a connection inside the UC, or a connection outwards.
//
// A snapshot keeps what is inside the UC: listeners, who waits at them, and
// connections with all their bytes. What led outwards is a LostSocket in it.
#ifndef EBBRT_FILES_STREAMSOCKET_H_
#define EBBRT_FILES_STREAMSOCKET_H_

#include "files/InternetSocket.h"
#include "files/SocketEnd.h"

namespace ebbrt {

// It claims an address by bind, listen or connect; one that was accepted has a
// share of its listener's.
class StreamSocket final : public InternetSocket {
 public:
  // More are refused, whatever the backlog.
  static constexpr std::size_t kMaxWaiting = 256;

  // `owner` is null in a prototype.
  StreamSocket(SocketOwner* owner, int status);
  static RefPtr<Descriptor> Load(StateReader& reader, StateCursor& body,
                                 int flags);

  InternetAddress local() const override;
  std::optional<InternetAddress> peer() const override;
  StreamSocket* as_stream() override { return this; }

  Result<void> Connect(InternetAddress address) override;
  Result<void> Connected() override;
  // Whatever is asked for, a connection outwards has a port of chance.
  Result<void> Bind(InternetAddress address) override;
  Result<void> Listen(int backlog) override;
  Result<RefPtr<Descriptor>> Accept(int status) override;
  Result<std::size_t> Peek(std::span<std::byte> bytes) override;
  Result<void> Shutdown(int how) override;
  int TakeError() override;
  void SetNoDelay(bool on) override;
  bool listening() const override { return state_ == State::kListening; }
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
  enum class State : std::uint8_t { kNew, kListening, kWithin, kOutward };

  // What the kernel keeps for a connection that nobody has accepted.
  static constexpr std::size_t kWaitingCost = 1024;

  Result<void> connect_within(InternetAddress address);
  Result<void> connect_outward(InternetAddress address);
  void join(RefPtr<SocketEnd> end, InternetAddress local, InternetAddress peer);
  RefPtr<StreamSocket> clone_within(CloneMap& map) const;
  void save_within(StateWriter& writer, StateBuffer& body) const;
  static RefPtr<StreamSocket>
  load_within(StateReader& reader, StateCursor& body, int flags, bool waiting);
  bool connected() const { return way_ != nullptr; }

  State state_ = State::kNew;
  bool no_delay_ = false;
  InternetAddress peer_;
  // The same object if the connection is inside.
  RefPtr<SocketDescriptor> way_;
  RefPtr<SocketEnd> end_;
  Vector<RefPtr<StreamSocket>> waiting_;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STREAMSOCKET_H_
