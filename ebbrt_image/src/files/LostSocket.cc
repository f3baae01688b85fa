#include "files/LostSocket.h"

#include "files/StateBuffer.h"
#include "files/StateCursor.h"
#include "files/StateFormat.h"

ebbrt::LostSocket::LostSocket(SocketType type, int flags)
    : SocketDescriptor(flags), type_(type) {}

// Body: u8 type.
ebbrt::StateKind ebbrt::LostSocket::SaveAs(SocketType type, StateBuffer& body) {
  body.Add8(static_cast<std::uint8_t>(type));
  return StateKind::kLostSocket;
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::LostSocket::Load(StateCursor& body,
                                                         int flags) {
  auto type = static_cast<SocketType>(body.Take8());
  if (type > SocketType::kDatagram)
    return nullptr;
  return MakeRef<LostSocket>(type, flags);
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::LostSocket::DoClone(CloneMap&) const {
  return MakeRef<LostSocket>(type_, flags());
}

ebbrt::StateKind ebbrt::LostSocket::Save(StateWriter&,
                                         StateBuffer& body) const {
  return SaveAs(type_, body);
}

int ebbrt::LostSocket::TakeError() {
  if (told_)
    return 0;
  told_ = true;
  return static_cast<int>(Errno::kConnectionReset);
}

std::uint32_t ebbrt::LostSocket::Ready() const {
  return abi::kPollIn | abi::kPollReadNormal | abi::kPollReadHangUp |
         abi::kPollOut | abi::kPollWriteNormal | abi::kPollHangUp |
         (told_ ? 0 : abi::kPollError);
}

ebbrt::Result<std::size_t> ebbrt::LostSocket::Peek(std::span<std::byte> bytes) {
  return DoRead(bytes);
}

ebbrt::Result<std::size_t> ebbrt::LostSocket::DoRead(std::span<std::byte>) {
  if (TakeError() != 0)
    return Errno::kConnectionReset;
  return std::size_t{0};
}

ebbrt::Result<std::size_t>
ebbrt::LostSocket::DoWrite(std::span<const std::byte>) {
  if (TakeError() != 0)
    return Errno::kConnectionReset;
  return Errno::kBrokenPipe;
}
