#include "net/UdpSocket.h"

#include <algorithm>

#include "lwip/udp.h"
#include "net/ChancePort.h"
#include "net/NetworkRights.h"

struct ebbrt::UdpSocket::Callbacks {
  // Without data: TcpIp::Forget.
  static void Received(void* argument, udp_pcb*, pbuf* data,
                       const ip_addr_t* host, u16_t port) {
    auto& socket = *static_cast<UdpSocket*>(argument);
    if (data)
      socket.take(data, {lwip_ntohl(ip_2_ip4(host)->addr), port});
    else
      socket.forget();
  }
};

std::unique_ptr<ebbrt::UdpSocket>
ebbrt::UdpSocket::Open(TcpIp& stack, NetworkClient& client, unsigned core) {
  LockGuard guard(stack.lock());
  auto* pcb = udp_new_ip_type(IPADDR_TYPE_V4);
  if (!pcb)
    return nullptr;
  if (!bind(pcb)) {
    udp_remove(pcb);
    return nullptr;
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(stack, client, core, pcb));
}

ebbrt::UdpSocket::UdpSocket(TcpIp& stack, NetworkClient& client, unsigned core,
                            udp_pcb* pcb)
    : NetworkEndpoint(core), stack_(stack), client_(client), pcb_(pcb) {
  udp_recv(pcb, &Callbacks::Received, this);
}

ebbrt::UdpSocket::~UdpSocket() {
  LockGuard guard(stack_.lock());
  stack_.Remove(*this);
  udp_remove(pcb_);
  while (count_ > 0)
    drop_first();
}

bool ebbrt::UdpSocket::bind(udp_pcb* pcb) {
  return BindByChance([pcb](u16_t port) {
           return udp_bind(pcb, IP4_ADDR_ANY, port);
         }) == ERR_OK;
}

void ebbrt::UdpSocket::forget() {
  while (count_ > 0)
    drop_first();
  // Where there is no other port it keeps this one.
  static_cast<void>(bind(pcb_));
}

void ebbrt::UdpSocket::take(pbuf* data, InternetAddress from) {
  if (count_ == kMaxWaiting) {
    pbuf_free(data);
    return;
  }
  waiting_[count_++] = {from, data};
  bytes_ += data->tot_len;
  ++activity_;
  stack_.Changed(*this);
}

void ebbrt::UdpSocket::drop_first() {
  bytes_ -= waiting_[0].data->tot_len;
  pbuf_free(waiting_[0].data);
  std::copy(waiting_ + 1, waiting_ + count_, waiting_);
  --count_;
}

// The port is the same for all that it talks to.
ebbrt::InternetAddress ebbrt::UdpSocket::local() const {
  LockGuard guard(stack_.lock());
  return {stack_.own_address(), pcb_->local_port};
}

ebbrt::Result<std::size_t>
ebbrt::UdpSocket::Send(InternetAddress to, std::span<const std::byte> bytes) {
  auto* rights = client_.network_rights();
  if (!rights || !rights->Allows(to))
    return Errno::kAccess;
  if (bytes.size() > kMaxSize)
    return Errno::kMessageTooLong;
  LockGuard guard(stack_.lock());
  auto* data =
      pbuf_alloc(PBUF_TRANSPORT, static_cast<u16_t>(bytes.size()), PBUF_RAM);
  if (!data)
    return Errno::kNoMemory;
  pbuf_take(data, bytes.data(), static_cast<u16_t>(bytes.size()));
  ip_addr_t host = IPADDR4_INIT(lwip_htonl(to.host));
  stack_.NeedTimers();
  auto sent = udp_sendto(pcb_, data, &host, to.port);
  pbuf_free(data);
  switch (sent) {
  case ERR_OK:
    return bytes.size();
  case ERR_MEM:
  case ERR_BUF:
    return Errno::kNoMemory;
  default:
    // No way there, or an address of many.
    return Errno::kNetworkUnreachable;
  }
}

ebbrt::Result<ebbrt::Datagram> ebbrt::UdpSocket::Receive(bool keep) {
  auto* rights = client_.network_rights();
  LockGuard guard(stack_.lock());
  while (count_ > 0 && !(rights && rights->Allows(waiting_[0].from)))
    drop_first();
  if (count_ == 0)
    return Errno::kAgain;
  Datagram datagram = {waiting_[0].from, {}};
  auto* data = waiting_[0].data;
  datagram.bytes.Resize(data->tot_len);
  pbuf_copy_partial(data, datagram.bytes.data(), data->tot_len, 0);
  if (!keep) {
    drop_first();
    ++activity_;
  }
  return datagram;
}

std::size_t ebbrt::UdpSocket::bytes() const {
  LockGuard guard(stack_.lock());
  return bytes_;
}

bool ebbrt::UdpSocket::readable() const {
  LockGuard guard(stack_.lock());
  return count_ > 0;
}

std::uint32_t ebbrt::UdpSocket::activity() const {
  LockGuard guard(stack_.lock());
  return activity_;
}
