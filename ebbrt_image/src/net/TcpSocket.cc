#include "net/TcpSocket.h"

#include <algorithm>

#include "files/LostSocket.h"
#include "lwip/tcp.h"
#include "net/ChancePort.h"
#include "net/NetworkRights.h"

namespace {

using namespace ebbrt;

// In units of half a second: how often a socket that found no memory looks
// again.
constexpr u8_t kPollInterval = 1;
constexpr Errno kNoError = {};

}  // namespace

struct ebbrt::TcpSocket::Callbacks {
  static TcpSocket& Of(void* argument) {
    return *static_cast<TcpSocket*>(argument);
  }

  static err_t Connected(void* argument, tcp_pcb*, err_t) {
    auto& socket = Of(argument);
    socket.state_ = State::kConnected;
    socket.changed();
    return ERR_OK;
  }

  static err_t Received(void* argument, tcp_pcb* pcb, pbuf* data, err_t) {
    auto& socket = Of(argument);
    if (!data) {
      socket.peer_done_ = true;
      // Both directions are done. lwIP frees it without a word when it has
      // waited long enough.
      if (socket.write_shut_) {
        socket.detach();
        socket.finish(kNoError);
      }
    } else if (socket.read_shut_) {
      tcp_recved(pcb, data->tot_len);
      pbuf_free(data);
    } else if (!socket.received_) {
      socket.received_ = data;
    } else if (socket.received_->tot_len + data->tot_len > UINT16_MAX) {
      // lwIP counts a chain in 16 bits. It gives the data again later.
      return ERR_MEM;
    } else {
      pbuf_cat(socket.received_, data);
    }
    socket.changed();
    return ERR_OK;
  }

  static err_t Sent(void* argument, tcp_pcb*, u16_t) {
    Of(argument).changed();
    return ERR_OK;
  }

  static void Failed(void* argument, err_t error) {
    auto& socket = Of(argument);
    socket.pcb_ = nullptr;
    auto connecting = socket.state_ == State::kConnecting;
    if (error == ERR_RST)
      socket.finish(connecting ? Errno::kConnectionRefused
                               : Errno::kConnectionReset);
    else if (error == ERR_ABRT)
      socket.finish(connecting ? Errno::kTimedOut : Errno::kConnectionReset);
    else
      socket.finish(kNoError);
  }
};

ebbrt::TcpSocket::TcpSocket(TcpIp& stack, NetworkClient& client, unsigned core,
                            int status)
    : SocketDescriptor(status), NetworkEndpoint(core), stack_(stack),
      client_(client) {}

ebbrt::TcpSocket::~TcpSocket() {
  LockGuard guard(stack_.lock());
  stack_.Remove(*this);
  if (received_)
    pbuf_free(received_);
  if (!pcb_)
    return;
  auto* pcb = detach();
  // What is not sent yet goes on its way without us.
  if (tcp_close(pcb) != ERR_OK)
    tcp_abort(pcb);
}

tcp_pcb* ebbrt::TcpSocket::detach() {
  tcp_arg(pcb_, nullptr);
  tcp_recv(pcb_, nullptr);
  tcp_sent(pcb_, nullptr);
  tcp_err(pcb_, nullptr);
  tcp_poll(pcb_, nullptr, 0);
  return std::exchange(pcb_, nullptr);
}

ebbrt::InternetAddress ebbrt::TcpSocket::local() const {
  return local_;
}

std::optional<ebbrt::InternetAddress> ebbrt::TcpSocket::peer() const {
  if (state_ != State::kConnected)
    return std::nullopt;
  return peer_;
}

ebbrt::Result<void> ebbrt::TcpSocket::Connect(InternetAddress address) {
  auto* rights = client_.network_rights();
  if (!rights || !rights->Allows(address))
    return Errno::kAccess;
  LockGuard guard(stack_.lock());
  switch (state_) {
  case State::kNew:
    break;
  case State::kConnecting:
    return Errno::kAlready;
  case State::kConnected:
    return Errno::kIsConnected;
  case State::kOver:
    return Errno::kConnectionRefused;
  }
  if (!begin(address))
    return Errno::kNoMemory;
  return Errno::kInProgress;
}

bool ebbrt::TcpSocket::begin(InternetAddress address) {
  auto* pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
  if (!pcb)
    return false;
  auto bound = BindByChance(
      [pcb](u16_t port) { return tcp_bind(pcb, IP4_ADDR_ANY, port); });
  if (bound != ERR_OK) {
    tcp_abort(pcb);
    return false;
  }
  tcp_arg(pcb, this);
  tcp_recv(pcb, &Callbacks::Received);
  tcp_sent(pcb, &Callbacks::Sent);
  tcp_err(pcb, &Callbacks::Failed);
  tcp_poll(
      pcb,
      [](void* argument, tcp_pcb*) -> err_t {
        if (argument)
          Callbacks::Of(argument).changed();
        return ERR_OK;
      },
      kPollInterval);
  if (no_delay_)
    tcp_nagle_disable(pcb);
  ip_addr_t host = IPADDR4_INIT(lwip_htonl(address.host));
  pcb_ = pcb;
  state_ = State::kConnecting;
  peer_ = address;
  if (tcp_connect(pcb, &host, address.port, &Callbacks::Connected) != ERR_OK) {
    tcp_abort(detach());
    state_ = State::kOver;
    return false;
  }
  local_ = {lwip_ntohl(ip_2_ip4(&pcb->local_ip)->addr), pcb->local_port};
  return true;
}

ebbrt::Result<void> ebbrt::TcpSocket::Connected() {
  LockGuard guard(stack_.lock());
  if (state_ == State::kConnecting)
    return Errno::kAgain;
  if (state_ == State::kConnected)
    return {};
  auto error = std::exchange(error_, kNoError);
  return error == kNoError ? Errno::kConnectionRefused : error;
}

ebbrt::Result<std::size_t> ebbrt::TcpSocket::Peek(std::span<std::byte> bytes) {
  return take(bytes, true);
}

ebbrt::Result<std::size_t>
ebbrt::TcpSocket::DoRead(std::span<std::byte> bytes) {
  return take(bytes, false);
}

ebbrt::Result<std::size_t> ebbrt::TcpSocket::take(std::span<std::byte> bytes,
                                                  bool keep) {
  LockGuard guard(stack_.lock());
  if (received_) {
    auto size = static_cast<u16_t>(
        std::min<std::size_t>(bytes.size(), received_->tot_len));
    pbuf_copy_partial(received_, bytes.data(), size, 0);
    if (!keep) {
      received_ = pbuf_free_header(received_, size);
      ++activity_;
      if (pcb_)
        tcp_recved(pcb_, size);
    }
    return static_cast<std::size_t>(size);
  }
  if (read_shut_)
    return std::size_t{0};
  if (error_ != kNoError)
    return keep ? error_ : std::exchange(error_, kNoError);
  if (peer_done_ || state_ == State::kOver)
    return std::size_t{0};
  if (state_ == State::kNew)
    return Errno::kNotConnected;
  return Errno::kAgain;
}

ebbrt::Result<std::size_t>
ebbrt::TcpSocket::DoWrite(std::span<const std::byte> bytes) {
  LockGuard guard(stack_.lock());
  if (error_ != kNoError)
    return std::exchange(error_, kNoError);
  if (write_shut_ || state_ == State::kOver)
    return Errno::kBrokenPipe;
  if (state_ == State::kNew)
    return Errno::kNotConnected;
  if (state_ == State::kConnecting)
    return Errno::kAgain;
  if (bytes.empty())
    return std::size_t{0};
  auto size =
      static_cast<u16_t>(std::min<std::size_t>(bytes.size(), tcp_sndbuf(pcb_)));
  // When memory is short, the poll of lwIP has the writer try again.
  if (size == 0 ||
      tcp_write(pcb_, bytes.data(), size, TCP_WRITE_FLAG_COPY) != ERR_OK)
    return Errno::kAgain;
  ++activity_;
  tcp_output(pcb_);
  return static_cast<std::size_t>(size);
}

ebbrt::Result<void> ebbrt::TcpSocket::Shutdown(int how) {
  if (how < abi::kShutdownRead || how > abi::kShutdownBoth)
    return Errno::kInvalid;
  LockGuard guard(stack_.lock());
  if (state_ != State::kConnected)
    return Errno::kNotConnected;
  ++activity_;
  if (how != abi::kShutdownWrite) {
    read_shut_ = true;
    if (received_) {
      if (pcb_)
        tcp_recved(pcb_, received_->tot_len);
      pbuf_free(std::exchange(received_, nullptr));
    }
  }
  if (how != abi::kShutdownRead && !write_shut_ && pcb_) {
    if (tcp_shutdown(pcb_, 0, 1) != ERR_OK)
      return Errno::kNoMemory;
    write_shut_ = true;
  }
  return {};
}

int ebbrt::TcpSocket::TakeError() {
  LockGuard guard(stack_.lock());
  return static_cast<int>(std::exchange(error_, kNoError));
}

void ebbrt::TcpSocket::SetNoDelay(bool on) {
  LockGuard guard(stack_.lock());
  no_delay_ = on;
  if (!pcb_)
    return;
  if (on)
    tcp_nagle_disable(pcb_);
  else
    tcp_nagle_enable(pcb_);
}

ebbrt::Result<std::size_t> ebbrt::TcpSocket::Available() const {
  LockGuard guard(stack_.lock());
  return received_ ? std::size_t{received_->tot_len} : std::size_t{0};
}

std::size_t ebbrt::TcpSocket::Held() const {
  LockGuard guard(stack_.lock());
  std::size_t held = received_ ? received_->tot_len : 0;
  if (pcb_ && state_ == State::kConnected)
    held += TCP_SND_BUF - tcp_sndbuf(pcb_);
  return held;
}

std::uint32_t ebbrt::TcpSocket::Ready() const {
  constexpr auto kIn = abi::kPollIn | abi::kPollReadNormal;
  constexpr auto kOut = abi::kPollOut | abi::kPollWriteNormal;
  LockGuard guard(stack_.lock());
  switch (state_) {
  case State::kNew:
    return kOut | abi::kPollHangUp;
  case State::kConnecting:
    return 0;
  case State::kOver:
    return kIn | kOut | abi::kPollReadHangUp | abi::kPollHangUp |
           (error_ != kNoError ? abi::kPollError : 0);
  case State::kConnected:
    break;
  }
  std::uint32_t ready = 0;
  if (received_ || peer_done_ || read_shut_)
    ready |= kIn;
  if (peer_done_ || read_shut_)
    ready |= abi::kPollReadHangUp;
  if (peer_done_ && write_shut_)
    ready |= abi::kPollHangUp;
  // As Linux does: not for every little room.
  if (write_shut_ || tcp_sndbuf(pcb_) > TCP_SND_BUF / 3)
    ready |= kOut;
  return ready;
}

std::uint32_t ebbrt::TcpSocket::activity() const {
  LockGuard guard(stack_.lock());
  return activity_;
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::TcpSocket::DoClone(CloneMap&) const {
  return MakeRef<LostSocket>(type(), flags());
}

ebbrt::StateKind ebbrt::TcpSocket::Save(StateWriter&, StateBuffer& body) const {
  return LostSocket::SaveAs(type(), body);
}

void ebbrt::TcpSocket::changed() {
  ++activity_;
  stack_.Changed(*this);
}

void ebbrt::TcpSocket::finish(Errno error) {
  state_ = State::kOver;
  error_ = error;
  changed();
}
