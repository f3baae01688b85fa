#include "net/TcpIp.h"

#include <algorithm>
#include <cstring>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

namespace {

constexpr size_t kMaxPieces = 16;
constexpr size_t kHardwareHeader = 14;
constexpr size_t kMinFrame = 60;

netif the_interface;

ip4_addr_t ToWire(uint32_t address) {
  return {lwip_htonl(address)};
}

}  // namespace

ebbrt::TcpIp* ebbrt::TcpIp::instance_;

extern "C" void tcp_timer_needed() {
  ebbrt::TcpIp::Instance()->NeedTimers();
}

extern "C" uint32_t NetworkFirstNumber(uint32_t local, uint16_t local_port,
                                       uint32_t peer, uint16_t peer_port) {
  return ebbrt::TcpIp::Instance()->FirstNumber({lwip_ntohl(local), local_port},
                                               {lwip_ntohl(peer), peer_port});
}

ebbrt::TcpIp::TcpIp(TcpIpHost& host, HardwareAddress hardware,
                    const Address& address)
    : host_(host), address_(address), interface_(&the_interface) {
  kbugon(instance_, "there is a TCP/IP stack");
  instance_ = this;
  LockGuard guard(lock_);
  lwip_init();
  auto own = ToWire(address.own), mask = ToWire(address.mask),
       gateway = ToWire(address.gateway);
  netif_add(
      interface_, &own, &mask, &gateway, this,
      [](netif* interface) -> err_t {
        interface->name[0] = 'e';
        interface->name[1] = 'n';
        interface->mtu = kMaxFrame - kHardwareHeader;
        interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP |
                           NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
        interface->output = etharp_output;
        interface->linkoutput = [](netif* out, pbuf* frame) -> err_t {
          return static_cast<TcpIp*>(out->state)->send(frame) ? ERR_OK
                                                              : ERR_MEM;
        };
        return ERR_OK;
      },
      ethernet_input);
  interface_->hwaddr_len = ETH_HWADDR_LEN;
  std::memcpy(interface_->hwaddr, hardware.data(), hardware.size());
  netif_set_default(interface_);
  netif_set_up(interface_);
}

void ebbrt::TcpIp::Input(std::span<const std::byte> frame) {
  if (frame.size() < kHardwareHeader || frame.size() > kMaxFrame)
    return;
  LockGuard guard(lock_);
  // lwIP reads headers before it looks at their length. Cards may leave out the
  // padding that a wire needs.
  auto size = std::max(frame.size(), kMinFrame);
  auto* buffer = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(size), PBUF_RAM);
  if (!buffer)
    return;
  auto* bytes = static_cast<std::byte*>(buffer->payload);
  std::memcpy(bytes, frame.data(), frame.size());
  std::memset(bytes + frame.size(), 0, size - frame.size());
  if (interface_->input(buffer, interface_) != ERR_OK)
    pbuf_free(buffer);
}

uint32_t ebbrt::TcpIp::RunTimers() {
  LockGuard guard(lock_);
  constexpr uint32_t kTicksPerNeighbourTick =
      ARP_TMR_INTERVAL / TCP_TMR_INTERVAL;
  tcp_tmr();
  if (++ticks_ % kTicksPerNeighbourTick == 0)
    etharp_tmr();
  // What waits for a neighbour is dropped when that has not answered; the rest
  // of the table can wait for the next connection.
  constexpr uint32_t kMostAsked = 5;  // lwIP's ARP_MAXPENDING
  constexpr uint32_t kIdleTicks = (kMostAsked + 1) * kTicksPerNeighbourTick;
  idle_ticks_ = tcp_active_pcbs || tcp_tw_pcbs ? 0 : idle_ticks_ + 1;
  timers_run_ = idle_ticks_ < kIdleTicks;
  return timers_run_ ? TCP_TMR_INTERVAL : kNever;
}

void ebbrt::TcpIp::NeedTimers() {
  idle_ticks_ = 0;
  if (timers_run_)
    return;
  timers_run_ = true;
  host_.StartTimers();
}

uint32_t ebbrt::TcpIp::FirstNumber(InternetAddress local,
                                   InternetAddress peer) {
  if (!sequence_numbers_) {
    SequenceNumbers::Secret secret;
    for (auto& word : secret)
      word = LWIP_RAND();
    sequence_numbers_.emplace(secret);
  }
  return sequence_numbers_->First(local, peer, sys_now());
}

void ebbrt::TcpIp::TellChanged(unsigned core) {
  LockGuard guard(lock_);
  while (auto* endpoint = changed_[core].PopFront())
    endpoint->TellOwner();
}

void ebbrt::TcpIp::Forget() {
  LockGuard guard(lock_);
  while (tcp_active_pcbs)
    tcp_abandon(tcp_active_pcbs, 0);
  while (tcp_tw_pcbs)
    tcp_abandon(tcp_tw_pcbs, 0);
  for (auto* pcb = udp_pcbs; pcb; pcb = pcb->next)
    pcb->recv(pcb->recv_arg, pcb, nullptr, nullptr, 0);
  etharp_cleanup_netif(interface_);
  sequence_numbers_.reset();
}

uint64_t ebbrt::TcpIp::connections() {
  LockGuard guard(lock_);
  uint64_t count = 0;
  for (auto* pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
    ++count;
  return count;
}

void ebbrt::TcpIp::Changed(NetworkEndpoint& endpoint) {
  if (endpoint.linked())
    return;
  auto& list = changed_[endpoint.core()];
  auto first = list.empty();
  list.PushBack(endpoint);
  if (first)
    host_.Wake(endpoint.core());
}

void ebbrt::TcpIp::Remove(NetworkEndpoint& endpoint) {
  if (endpoint.linked())
    changed_[endpoint.core()].Erase(endpoint);
}

bool ebbrt::TcpIp::send(pbuf* frame) {
  std::span<const std::byte> pieces[kMaxPieces];
  size_t count = 0;
  for (auto* piece = frame; piece; piece = piece->next) {
    if (count == kMaxPieces)
      return false;
    pieces[count++] = {static_cast<const std::byte*>(piece->payload),
                       piece->len};
  }
  return host_.Send({pieces, count});
}
