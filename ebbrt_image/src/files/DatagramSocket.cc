#include "files/DatagramSocket.h"

#include <algorithm>
#include <cstring>

#include "files/CloneMap.h"
#include "files/Loopback.h"
#include "files/StateBuffer.h"
#include "files/StateCursor.h"
#include "files/StateFormat.h"

ebbrt::DatagramSocket::DatagramSocket(SocketOwner* owner, int status)
    : InternetSocket(owner, status) {}

ebbrt::InternetAddress ebbrt::DatagramSocket::local() const {
  return outward_ && !claims_ ? outward_->local() : local_;
}

ebbrt::Result<void> ebbrt::DatagramSocket::claim_any() {
  return claims_ ? Result<void>() : claim({});
}

ebbrt::Result<ebbrt::OutwardDatagrams*> ebbrt::DatagramSocket::outward() {
  if (!outward_) {
    auto opened = owner_->OpenDatagrams();
    if (!opened)
      return opened.error();
    outward_ = std::move(*opened);
  }
  return outward_.get();
}

// That the peer may be reached shows when something is sent to it.
ebbrt::Result<void> ebbrt::DatagramSocket::Connect(InternetAddress address) {
  if (loopback::IsWithin(address.host)) {
    address = loopback::Target(address);
    if (auto claimed = claim_any(); !claimed)
      return claimed;
    local_ = loopback::Target(local_);
  } else if (auto way = outward(); !way) {
    return way.error();
  }
  peer_ = address;
  ++activity_;
  return {};
}

ebbrt::Result<void> ebbrt::DatagramSocket::Bind(InternetAddress address) {
  if (claims_)
    return Errno::kInvalid;
  return claim(address);
}

ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::SendTo(std::span<const std::byte> bytes,
                              std::optional<InternetAddress> to) {
  if (!to)
    to = peer_;
  if (!to)
    return Errno::kDestinationRequired;
  if (write_shut_)
    return Errno::kBrokenPipe;
  if (TakeError() != 0)
    return Errno::kConnectionRefused;
  if (bytes.size() > kMaxSize)
    return Errno::kMessageTooLong;
  ++activity_;
  if (loopback::IsWithin(to->host))
    return send_within(bytes, loopback::Target(*to));
  auto way = outward();
  if (!way)
    return way.error();
  return (*way)->Send(*to, bytes);
}

ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::send_within(std::span<const std::byte> bytes,
                                   InternetAddress to) {
  if (auto claimed = claim_any(); !claimed)
    return claimed.error();
  auto from = loopback::Target(local_);
  DatagramSocket* receiver = nullptr;
  loopback::FindSocket(
      owner_->open_descriptors(), type(), [&](SocketDescriptor& socket) {
        auto* other = socket.as_datagram();
        if (other && other->claims_ && loopback::Matches(other->local_, to) &&
            other->takes_from(from))
          receiver = other;
        return receiver != nullptr;
      });
  if (receiver) {
    receiver->deliver(from, bytes);
    return bytes.size();
  }
  Vector<std::byte> answer;
  constexpr std::size_t kMostAnswered = 512;
  answer.Resize(kMostAnswered);
  auto size = owner_->Ask(to, bytes, answer);
  if (size && *size > 0)
    deliver(to, std::span(answer.data(), *size));
  refused_ = !size && peer_;
  return bytes.size();
}

bool ebbrt::DatagramSocket::deliver(InternetAddress from,
                                    std::span<const std::byte> bytes) {
  auto cost = bytes.size() + kHeaderCost;
  if (read_shut_ || cost > kMaxWaiting - held_)
    return false;
  Datagram datagram = {from, {}};
  datagram.bytes.Resize(bytes.size());
  std::copy(bytes.begin(), bytes.end(), datagram.bytes.begin());
  waiting_.PushBack(std::move(datagram));
  held_ += cost;
  ++activity_;
  return true;
}

ebbrt::Result<ebbrt::Datagram> ebbrt::DatagramSocket::Receive(bool keep) {
  if (TakeError() != 0)
    return Errno::kConnectionRefused;
  if (!waiting_.empty()) {
    if (!keep) {
      ++activity_;
      auto datagram = std::move(waiting_[0]);
      waiting_.Erase(0);
      held_ -= datagram.bytes.size() + kHeaderCost;
      return datagram;
    }
    Datagram copy = {waiting_[0].from, {}};
    copy.bytes.Resize(waiting_[0].bytes.size());
    std::copy(waiting_[0].bytes.begin(), waiting_[0].bytes.end(),
              copy.bytes.begin());
    return copy;
  }
  while (outward_ && !read_shut_) {
    auto datagram = outward_->Receive(keep);
    if (!datagram || takes_from(datagram->from))
      return datagram;
    if (keep)
      static_cast<void>(outward_->Receive(false));
  }
  if (read_shut_)
    return Datagram();
  return Errno::kAgain;
}

ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::DoRead(std::span<std::byte> bytes) {
  return take(bytes, false);
}

ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::Peek(std::span<std::byte> bytes) {
  return take(bytes, true);
}

// What does not fit of a datagram is gone.
ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::take(std::span<std::byte> bytes, bool keep) {
  auto datagram = Receive(keep);
  if (!datagram)
    return datagram.error();
  auto size = std::min(bytes.size(), datagram->bytes.size());
  std::copy_n(datagram->bytes.begin(), size, bytes.begin());
  return size;
}

ebbrt::Result<std::size_t>
ebbrt::DatagramSocket::DoWrite(std::span<const std::byte> bytes) {
  return SendTo(bytes, std::nullopt);
}

ebbrt::Result<void> ebbrt::DatagramSocket::Shutdown(int how) {
  if (how < abi::kShutdownRead || how > abi::kShutdownBoth)
    return Errno::kInvalid;
  if (!peer_)
    return Errno::kNotConnected;
  read_shut_ = read_shut_ || how != abi::kShutdownWrite;
  write_shut_ = write_shut_ || how != abi::kShutdownRead;
  ++activity_;
  return {};
}

int ebbrt::DatagramSocket::TakeError() {
  return std::exchange(refused_, false)
             ? static_cast<int>(Errno::kConnectionRefused)
             : 0;
}

ebbrt::Result<std::size_t> ebbrt::DatagramSocket::Available() const {
  return waiting_.empty() ? std::size_t{0} : waiting_[0].bytes.size();
}

std::size_t ebbrt::DatagramSocket::Held() const {
  return held_ + (outward_ ? outward_->bytes() : 0);
}

std::uint32_t ebbrt::DatagramSocket::Ready() const {
  auto ready = abi::kPollOut | abi::kPollWriteNormal;
  if (!waiting_.empty() || read_shut_ || refused_ ||
      (outward_ && outward_->readable()))
    ready |= abi::kPollIn | abi::kPollReadNormal;
  if (refused_)
    ready |= abi::kPollError;
  return ready;
}

std::uint32_t ebbrt::DatagramSocket::activity() const {
  return activity_ + (outward_ ? outward_->activity() : 0);
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::DatagramSocket::DoClone(CloneMap& map) const {
  auto clone = MakeRef<DatagramSocket>(map.consoles().socket_owner(), flags());
  clone->claims_ = claims_;
  clone->refused_ = refused_;
  clone->local_ = local_;
  clone->peer_ = peer_;
  for (const auto& datagram : waiting_)
    clone->deliver(datagram.from, datagram.bytes);
  clone->read_shut_ = read_shut_;
  clone->write_shut_ = write_shut_;
  clone->activity_ = activity_;
  return clone;
}

// Body: u8 bits, its address, the peer's, u32 activity, u32 count, each that
// waits: address of the sender, u32 size, bytes.
ebbrt::StateKind ebbrt::DatagramSocket::Save(StateWriter&,
                                             StateBuffer& body) const {
  body.Add8(static_cast<std::uint8_t>(claims_ | read_shut_ << 1 |
                                      write_shut_ << 2 | refused_ << 3 |
                                      peer_.has_value() << 4));
  SaveAddress(local_, body);
  SaveAddress(peer_.value_or(InternetAddress()), body);
  body.Add32(activity_);
  body.Add32(static_cast<std::uint32_t>(waiting_.size()));
  for (const auto& datagram : waiting_) {
    SaveAddress(datagram.from, body);
    body.Add32(static_cast<std::uint32_t>(datagram.bytes.size()));
    body.AddBytes(datagram.bytes);
  }
  return StateKind::kDatagramSocket;
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::DatagramSocket::Load(StateCursor& body,
                                                             int flags) {
  auto socket = MakeRef<DatagramSocket>(nullptr, flags);
  auto bits = body.Take8();
  body.Expect(bits < 32);
  socket->local_ = LoadAddress(body);
  auto peer = LoadAddress(body);
  auto activity = body.Take32();
  auto count = body.Take32();
  for (std::uint32_t i = 0; i < count && body.ok(); ++i) {
    auto from = LoadAddress(body);
    auto bytes = body.TakeBytes(body.Take32());
    body.Expect(bytes.size() <= kMaxSize);
    if (body.ok())
      body.Expect(socket->deliver(from, bytes));
  }
  socket->claims_ = bits & 1;
  body.Expect(loopback::IsWithin(socket->local_.host) &&
              (!socket->claims_ || socket->local_.port != 0));
  socket->read_shut_ = bits >> 1 & 1;
  socket->write_shut_ = bits >> 2 & 1;
  socket->refused_ = bits >> 3 & 1;
  if (bits >> 4 & 1)
    socket->peer_ = peer;
  socket->activity_ = activity;
  return body.ok() ? socket : nullptr;
}
