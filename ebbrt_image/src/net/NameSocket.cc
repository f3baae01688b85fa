#include "net/NameSocket.h"

#include <algorithm>
#include <cstring>

#include "files/LostSocket.h"

std::optional<ebbrt::InternetAddress> ebbrt::NameSocket::peer() const {
  if (!connected_)
    return std::nullopt;
  return kNameServer;
}

ebbrt::Result<void> ebbrt::NameSocket::Connect(InternetAddress address) {
  if (address != kNameServer)
    return Errno::kAccess;
  connected_ = true;
  return {};
}

ebbrt::Result<std::size_t> ebbrt::NameSocket::Peek(std::span<std::byte> bytes) {
  if (answers_.empty())
    return Errno::kAgain;
  // What does not fit of a datagram is gone.
  auto size = std::min(bytes.size(), answers_[0].size);
  std::memcpy(bytes.data(), answers_[0].bytes, size);
  return size;
}

ebbrt::Result<void> ebbrt::NameSocket::Shutdown(int) {
  if (!connected_)
    return Errno::kNotConnected;
  return {};
}

ebbrt::Result<std::size_t> ebbrt::NameSocket::Available() const {
  return answers_.empty() ? std::size_t{0} : answers_[0].size;
}

std::uint32_t ebbrt::NameSocket::Ready() const {
  return abi::kPollOut | abi::kPollWriteNormal |
         (answers_.empty() ? 0 : abi::kPollIn | abi::kPollReadNormal);
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::NameSocket::DoClone(CloneMap&) const {
  return MakeRef<LostSocket>(type(), flags());
}

ebbrt::StateKind ebbrt::NameSocket::Save(StateWriter&,
                                         StateBuffer& body) const {
  return LostSocket::SaveAs(type(), body);
}

ebbrt::Result<std::size_t>
ebbrt::NameSocket::DoRead(std::span<std::byte> bytes) {
  auto size = Peek(bytes);
  if (size)
    answers_.Erase(0);
  return size;
}

ebbrt::Result<std::size_t>
ebbrt::NameSocket::DoWrite(std::span<const std::byte> bytes) {
  if (!connected_)
    return Errno::kDestinationRequired;
  auto* rights = client_.network_rights();
  if (!rights)
    return Errno::kAccess;
  Message message;
  message.size = AnswerName(*rights, bytes, message.bytes);
  if (message.size > 0 && answers_.size() < kMaxWaiting)
    answers_.PushBack(message);
  ++activity_;
  return bytes.size();
}
