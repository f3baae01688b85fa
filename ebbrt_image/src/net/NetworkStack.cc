#include "net/NetworkStack.h"

#include "arch/Clock.h"
#include "arch/DebugConsole.h"
#include "boot/BootInfo.h"
#include "event/EventManager.h"

namespace {

constexpr uint64_t kMillisecond = 1000000;

ebbrt::NetworkStack* network;

bool TakeMark(std::string_view& text, char mark) {
  if (text.empty() || text.front() != mark)
    return false;
  text.remove_prefix(1);
  return true;
}

// False if there is no a.b.c.d at the start.
bool TakeHost(std::string_view& text, uint32_t& host) {
  host = 0;
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && !TakeMark(text, '.'))
      return false;
    auto before = text.size();
    auto part = ebbrt::boot_info::TakeNumber(text);
    if (text.size() == before || part > 255)
      return false;
    host = host << 8 | static_cast<uint32_t>(part);
  }
  return true;
}

ebbrt::TcpIp::Address AddressFromCommandLine() {
  ebbrt::TcpIp::Address address;
  auto text = ebbrt::boot_info::Option("seuss.network");
  if (text.empty())
    return address;
  uint64_t bits = 0;
  auto good = TakeHost(text, address.own) && TakeMark(text, '/');
  if (good)
    bits = ebbrt::boot_info::TakeNumber(text);
  good = good && bits >= 1 && bits <= 32 && TakeMark(text, ',') &&
         TakeHost(text, address.gateway) && text.empty();
  kbugon(!good, "seuss.network is not ADDRESS/BITS,GATEWAY");
  address.mask = ~uint32_t{0} << (32 - bits);
  return address;
}

}  // namespace

void ebbrt::NetworkStack::Init() {
  network = new NetworkStack;
  network->card_ = VirtioNet::Create([](std::span<const std::byte> frame) {
    TcpIp::Instance()->Input(frame);
  });
  if (!network->card_)
    return;
  network->stack_ = std::make_unique<TcpIp>(*network, network->card_->address(),
                                            AddressFromCommandLine());
  kprintf("network: up\n");
}

uint64_t ebbrt::NetworkStack::Sent() {
  return network && network->card_ ? network->card_->sent() : 0;
}

uint64_t ebbrt::NetworkStack::Received() {
  return network && network->card_ ? network->card_->received() : 0;
}

bool ebbrt::NetworkStack::Send(
    std::span<const std::span<const std::byte>> pieces) {
  return card_->Send(pieces);
}

void ebbrt::NetworkStack::Wake(unsigned core) {
  auto tell = [core] { TcpIp::Instance()->TellChanged(core); };
  if (core == cpu::Index())
    event_manager->Spawn(tell);
  else
    EventManager::SpawnRemote(tell, core);
}

void ebbrt::NetworkStack::StartTimers() {
  EventManager::SpawnRemote([this] { Fire(); }, 0);
}

void ebbrt::NetworkStack::Fire() {
  event_manager->Spawn([this] { run_timers(); });
}

void ebbrt::NetworkStack::run_timers() {
  auto pause = stack_->RunTimers();
  if (pause != TcpIp::kNever)
    timer->Start(*this, clock::Uptime() + pause * kMillisecond);
}
