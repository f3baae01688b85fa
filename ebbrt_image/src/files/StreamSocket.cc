#include "files/StreamSocket.h"

#include "files/CloneMap.h"
#include "files/Loopback.h"
#include "files/LostSocket.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

ebbrt::StreamSocket::StreamSocket(SocketOwner* owner, int status)
    : InternetSocket(owner, status) {}

ebbrt::InternetAddress ebbrt::StreamSocket::local() const {
  return state_ == State::kOutward ? way_->local() : local_;
}

std::optional<ebbrt::InternetAddress> ebbrt::StreamSocket::peer() const {
  if (state_ == State::kOutward)
    return way_->peer();
  if (state_ == State::kWithin)
    return peer_;
  return std::nullopt;
}

ebbrt::Result<void> ebbrt::StreamSocket::Connect(InternetAddress address) {
  if (state_ == State::kOutward)
    return way_->Connect(address);
  if (state_ != State::kNew)
    return Errno::kIsConnected;
  return loopback::IsWithin(address.host)
             ? connect_within(loopback::Target(address))
             : connect_outward(address);
}

ebbrt::Result<void>
ebbrt::StreamSocket::connect_within(InternetAddress address) {
  StreamSocket* listener = nullptr;
  loopback::FindSocket(owner_->open_descriptors(), type(),
                       [&](SocketDescriptor& socket) {
                         auto* stream = socket.as_stream();
                         if (stream && stream->listening() &&
                             loopback::Matches(stream->local_, address))
                           listener = stream;
                         return listener != nullptr;
                       });
  if (!listener || listener->waiting_.size() >= kMaxWaiting)
    return Errno::kConnectionRefused;
  if (!claims_)
    if (auto claimed = claim(local_); !claimed)
      return claimed;
  auto local = loopback::Target(local_);
  auto pair = MakeSocketPair(0);
  auto other = MakeRef<StreamSocket>(owner_, 0);
  other->join(std::move(pair.second), address, local);
  join(std::move(pair.first), local, address);
  listener->waiting_.PushBack(std::move(other));
  ++listener->activity_;
  return {};
}

ebbrt::Result<void>
ebbrt::StreamSocket::connect_outward(InternetAddress address) {
  auto way = owner_->OpenStream();
  if (!way)
    return way.error();
  (*way)->SetNoDelay(no_delay_);
  auto begun = (*way)->Connect(address);
  if (!begun && begun.error() != Errno::kInProgress)
    return begun.error();
  way_ = *way;
  state_ = State::kOutward;
  claims_ = false;
  ++activity_;
  return begun;
}

void ebbrt::StreamSocket::join(RefPtr<SocketEnd> end, InternetAddress local,
                               InternetAddress peer) {
  end_ = end;
  way_ = std::move(end);
  local_ = local;
  peer_ = peer;
  state_ = State::kWithin;
  ++activity_;
}

ebbrt::Result<void> ebbrt::StreamSocket::Connected() {
  if (state_ == State::kOutward)
    return way_->Connected();
  if (state_ == State::kWithin)
    return {};
  return Errno::kNotConnected;
}

ebbrt::Result<void> ebbrt::StreamSocket::Bind(InternetAddress address) {
  if (state_ != State::kNew || claims_)
    return Errno::kInvalid;
  return claim(address);
}

ebbrt::Result<void> ebbrt::StreamSocket::Listen(int) {
  if (state_ == State::kListening)
    return {};
  if (state_ != State::kNew)
    return Errno::kInvalid;
  if (!claims_)
    if (auto claimed = claim({}); !claimed)
      return claimed;
  state_ = State::kListening;
  ++activity_;
  return {};
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Descriptor>>
ebbrt::StreamSocket::Accept(int status) {
  if (state_ != State::kListening)
    return Errno::kInvalid;
  if (waiting_.empty())
    return Errno::kAgain;
  auto socket = waiting_[0];
  waiting_.Erase(0);
  ++activity_;
  socket->set_flags(status);
  return RefPtr<Descriptor>(std::move(socket));
}

ebbrt::Result<std::size_t>
ebbrt::StreamSocket::Peek(std::span<std::byte> bytes) {
  if (!connected())
    return Errno::kNotConnected;
  return way_->Peek(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::StreamSocket::DoRead(std::span<std::byte> bytes) {
  if (!connected())
    return Errno::kNotConnected;
  return way_->Read(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::StreamSocket::DoWrite(std::span<const std::byte> bytes) {
  if (!connected())
    return Errno::kNotConnected;
  return way_->Write(bytes);
}

ebbrt::Result<void> ebbrt::StreamSocket::Shutdown(int how) {
  if (how < abi::kShutdownRead || how > abi::kShutdownBoth)
    return Errno::kInvalid;
  if (state_ == State::kListening && how != abi::kShutdownWrite) {
    // It keeps its address, and may listen again.
    waiting_.Clear();
    state_ = State::kNew;
    ++activity_;
    return {};
  }
  if (!connected())
    return Errno::kNotConnected;
  return way_->Shutdown(how);
}

int ebbrt::StreamSocket::TakeError() {
  return connected() ? way_->TakeError() : 0;
}

void ebbrt::StreamSocket::SetNoDelay(bool on) {
  no_delay_ = on;
  if (connected())
    way_->SetNoDelay(on);
}

ebbrt::Result<std::size_t> ebbrt::StreamSocket::Available() const {
  return connected() ? way_->Available() : std::size_t{0};
}

std::size_t ebbrt::StreamSocket::Held() const {
  std::size_t held = connected() ? way_->Held() : 0;
  for (const auto& socket : waiting_)
    held += kWaitingCost + socket->Held();
  return held;
}

std::uint32_t ebbrt::StreamSocket::Ready() const {
  if (connected())
    return way_->Ready();
  if (state_ == State::kListening)
    return waiting_.empty() ? 0 : abi::kPollIn | abi::kPollReadNormal;
  return abi::kPollOut | abi::kPollWriteNormal | abi::kPollHangUp;
}

std::uint32_t ebbrt::StreamSocket::activity() const {
  return activity_ + (connected() ? way_->activity() : 0);
}

ebbrt::RefPtr<ebbrt::StreamSocket>
ebbrt::StreamSocket::clone_within(CloneMap& map) const {
  auto clone = MakeRef<StreamSocket>(map.consoles().socket_owner(), flags());
  clone->local_ = local_;
  clone->claims_ = claims_;
  clone->no_delay_ = no_delay_;
  if (end_) {
    auto end = map.Clone(*end_);
    clone->join(RefPtr<SocketEnd>(static_cast<SocketEnd*>(end.get())), local_,
                peer_);
  }
  clone->state_ = state_;
  clone->activity_ = activity_;
  return clone;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::StreamSocket::DoClone(CloneMap& map) const {
  if (state_ == State::kOutward)
    return MakeRef<LostSocket>(type(), flags());
  auto clone = clone_within(map);
  for (const auto& socket : waiting_)
    clone->waiting_.PushBack(socket->clone_within(map));
  return clone;
}

// Body: u8 state, u8 whether it claims its address, its address, u32 activity;
// inside: address of the peer, body of the SocketEnd; of a listener: u32 count,
// then for each that waits: such a body.
ebbrt::StateKind ebbrt::StreamSocket::Save(StateWriter& writer,
                                           StateBuffer& body) const {
  if (state_ == State::kOutward)
    return LostSocket::SaveAs(type(), body);
  save_within(writer, body);
  if (state_ == State::kListening) {
    body.Add32(static_cast<std::uint32_t>(waiting_.size()));
    for (const auto& socket : waiting_)
      socket->save_within(writer, body);
  }
  return StateKind::kStreamSocket;
}

void ebbrt::StreamSocket::save_within(StateWriter& writer,
                                      StateBuffer& body) const {
  body.Add8(static_cast<std::uint8_t>(state_));
  body.Add8(claims_ ? 1 : 0);
  SaveAddress(local_, body);
  body.Add32(activity_);
  if (!end_)
    return;
  SaveAddress(peer_, body);
  static_cast<void>(end_->Save(writer, body));
}

ebbrt::RefPtr<ebbrt::StreamSocket>
ebbrt::StreamSocket::load_within(StateReader& reader, StateCursor& body,
                                 int flags, bool waiting) {
  auto socket = MakeRef<StreamSocket>(nullptr, flags);
  auto state = static_cast<State>(body.Take8());
  socket->claims_ = body.TakeBool();
  socket->local_ = LoadAddress(body);
  auto activity = body.Take32();
  body.Expect(loopback::IsWithin(socket->local_.host) &&
              (!socket->claims_ || socket->local_.port != 0));
  if (waiting)
    body.Expect(state == State::kWithin);
  switch (state) {
  case State::kNew:
    break;
  case State::kListening:
    body.Expect(socket->claims_);
    break;
  case State::kWithin: {
    auto peer = LoadAddress(body);
    auto end = SocketEnd::Load(reader, body, abi::kOpenReadWrite);
    body.Expect(loopback::IsWithin(peer.host) && end);
    if (!body.ok())
      return nullptr;
    socket->join(std::move(end), socket->local_, peer);
    break;
  }
  default:
    return nullptr;
  }
  socket->state_ = state;
  socket->activity_ = activity;
  return body.ok() ? socket : nullptr;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::StreamSocket::Load(StateReader& reader, StateCursor& body, int flags) {
  auto socket = load_within(reader, body, flags, false);
  if (!socket || socket->state_ != State::kListening)
    return socket;
  auto count = body.Take32();
  body.Expect(count <= kMaxWaiting);
  for (std::uint32_t i = 0; i < count && body.ok(); ++i) {
    auto other = load_within(reader, body, abi::kOpenReadWrite, true);
    if (!other)
      return nullptr;
    socket->waiting_.PushBack(std::move(other));
  }
  return body.ok() ? socket : nullptr;
}
