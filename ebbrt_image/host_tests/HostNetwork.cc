#include "HostNetwork.h"

#include <cstdio>
#include <cstdlib>
#include <random>

#include "lib/Assert.h"
#include "lwip/sys.h"

namespace {

using ebbrt::test::Bytes;

std::uint32_t now_ms;
std::size_t allocated;
bool memory_short;
std::mt19937 random_numbers(1);

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kInternet = 20;
constexpr std::size_t kTransport = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr int kTcp = 6;
constexpr int kUdp = 17;
constexpr std::byte kOwnCard[6] = {std::byte{0x52}, std::byte{0x54},
                                   std::byte{0},    std::byte{0x12},
                                   std::byte{0x34}, std::byte{0x56}};
constexpr std::byte kPeerCard[6] = {std::byte{0x52}, std::byte{0x55},
                                    std::byte{10},   std::byte{0},
                                    std::byte{2},    std::byte{2}};

void Put16(Bytes& bytes, unsigned value) {
  bytes.push_back(static_cast<std::byte>(value >> 8));
  bytes.push_back(static_cast<std::byte>(value));
}

void Put32(Bytes& bytes, std::uint32_t value) {
  Put16(bytes, value >> 16);
  Put16(bytes, value & 0xffff);
}

void PutAll(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

unsigned Get16(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 |
         std::to_integer<unsigned>(bytes[at + 1]);
}

std::uint32_t Get32(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint32_t>(Get16(bytes, at)) << 16 |
         Get16(bytes, at + 2);
}

unsigned Checksum(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<unsigned>(bytes[i]) << (i % 2 ? 0 : 8);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

void Set16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

// The headers before `size` bytes of a protocol.
Bytes InternetFrame(std::uint32_t from, int protocol, std::size_t size) {
  Bytes frame;
  PutAll(frame, kOwnCard);
  PutAll(frame, kPeerCard);
  Put16(frame, 0x0800);
  Put16(frame, 0x4500);
  Put16(frame, static_cast<unsigned>(kInternet + size));
  Put32(frame, 0);
  Put16(frame, static_cast<unsigned>(0x4000 | protocol));
  Put16(frame, 0);
  Put32(frame, from);
  Put32(frame, ebbrt::test::HostNetwork::kOwn);
  Set16(frame, kEthernet + 10,
        Checksum(std::span(frame).subspan(kEthernet, kInternet)));
  return frame;
}

}  // namespace

extern "C" {

void* NetworkAllocate(size_t size) {
  if (memory_short)
    return nullptr;
  ++allocated;
  return std::malloc(size);
}

void NetworkFree(void* object) {
  if (!object)
    return;
  --allocated;
  std::free(object);
}

uint32_t NetworkRandom() {
  return static_cast<std::uint32_t>(random_numbers());
}

u32_t sys_now() {
  return now_ms;
}
}

ebbrt::test::HostNetwork::HostNetwork() {
  Bytes list;
  for (auto part : {kPeer, std::uint32_t{kPort}}) {
    // Little endian: the address in four bytes, then port and name in two each.
    auto size = part == kPeer ? 4 : 2;
    for (int i = 0; i < size; ++i)
      list.push_back(static_cast<std::byte>(part >> 8 * i));
  }
  list.push_back({});
  list.push_back({});
  rights_ = NetworkRights::Parse(list);
  kbugon(!rights_);
  stack_ = std::make_unique<TcpIp>(*this, kOwnCard, TcpIp::Address());
}

ebbrt::test::HostNetwork& ebbrt::test::HostNetwork::Get() {
  static HostNetwork network;
  return network;
}

std::size_t ebbrt::test::HostNetwork::allocations() {
  return allocated;
}

void ebbrt::test::HostNetwork::SetShort(bool is_short) {
  memory_short = is_short;
}

void ebbrt::test::HostNetwork::Pass(std::uint32_t ms) {
  constexpr std::uint32_t kTick = 250;
  for (std::uint32_t passed = 0; passed + kTick <= ms; passed += kTick) {
    now_ms += kTick;
    stack_->RunTimers();
  }
  for (unsigned core = 0; core < 32; ++core)
    if (woken_ >> core & 1)
      stack_->TellChanged(core);
  woken_ = 0;
}

bool ebbrt::test::HostNetwork::next(int protocol, Bytes& frame) {
  while (!sent.empty()) {
    frame = sent.front();
    sent.pop_front();
    if (Get16(frame, 12) == 0x0806 && Get16(frame, 20) == 1) {
      Bytes reply;
      PutAll(reply, kOwnCard);
      PutAll(reply, kPeerCard);
      PutAll(reply, std::span(frame).subspan(12, 8));
      Put16(reply, 2);
      PutAll(reply, kPeerCard);
      Put32(reply, Get32(frame, 38));
      PutAll(reply, std::span(frame).subspan(22, 10));
      stack_->Input(reply);
      continue;
    }
    if (Get16(frame, 12) == 0x0800 &&
        std::to_integer<int>(frame[23]) == protocol)
      return true;
  }
  return false;
}

bool ebbrt::test::HostNetwork::Next(Segment& segment) {
  Bytes frame;
  if (!next(kTcp, frame))
    return false;
  constexpr auto at = kEthernet + kInternet;
  auto header = std::to_integer<std::size_t>(frame[at + 12]) / 16 * 4;
  auto whole = Get16(frame, 16);
  segment.from = static_cast<std::uint16_t>(Get16(frame, at));
  segment.to = static_cast<std::uint16_t>(Get16(frame, at + 2));
  segment.sequence = Get32(frame, at + 4);
  segment.acknowledged = Get32(frame, at + 8);
  segment.flags = std::to_integer<unsigned>(frame[at + 13]);
  segment.window = Get16(frame, at + 14);
  segment.data.assign(frame.begin() + static_cast<long>(at + header),
                      frame.begin() + static_cast<long>(kEthernet + whole));
  return true;
}

bool ebbrt::test::HostNetwork::NextDatagram(SentDatagram& datagram) {
  Bytes frame;
  if (!next(kUdp, frame))
    return false;
  constexpr auto at = kEthernet + kInternet;
  datagram.from = static_cast<std::uint16_t>(Get16(frame, at));
  datagram.to = static_cast<std::uint16_t>(Get16(frame, at + 2));
  datagram.data.assign(frame.begin() + static_cast<long>(at + kUdpHeader),
                       frame.begin() +
                           static_cast<long>(at + Get16(frame, at + 4)));
  return true;
}

ebbrt::test::Bytes
ebbrt::test::HostNetwork::DatagramFrame(std::uint32_t host, std::uint16_t from,
                                        std::uint16_t to,
                                        std::string_view text) {
  auto size = kUdpHeader + text.size();
  auto frame = InternetFrame(host, kUdp, size);
  Put16(frame, from);
  Put16(frame, to);
  Put16(frame, static_cast<unsigned>(size));
  // No checksum, which is allowed.
  Put16(frame, 0);
  PutAll(frame, std::as_bytes(std::span(text)));
  return frame;
}

ebbrt::test::Bytes ebbrt::test::HostNetwork::Frame(const Segment& segment) {
  auto size = kTransport + segment.data.size();
  auto frame = InternetFrame(kPeer, kTcp, size);
  Put16(frame, segment.from);
  Put16(frame, segment.to);
  Put32(frame, segment.sequence);
  Put32(frame, segment.acknowledged);
  Put16(frame, 0x5000 | (segment.flags & 0x3f));
  Put16(frame, segment.window);
  Put32(frame, 0);
  PutAll(frame, segment.data);
  // The pseudo header: addresses, protocol, length.
  auto sum = (kPeer >> 16) + (kPeer & 0xffff) + (kOwn >> 16) + (kOwn & 0xffff) +
             6 + static_cast<std::uint32_t>(size);
  Set16(frame, kEthernet + kInternet + 16,
        Checksum(std::span(frame).subspan(kEthernet + kInternet), sum));
  return frame;
}

void ebbrt::test::HostNetwork::Put(const Segment& segment) {
  stack_->Input(Frame(segment));
}

ebbrt::RefPtr<ebbrt::TcpSocket>
ebbrt::test::HostNetwork::Connect(Segment& next) {
  auto socket = MakeRef<TcpSocket>(*stack_, *this, 0, 0);
  auto begun = socket->Connect({kPeer, kPort});
  kbugon(begun || begun.error() != Errno::kInProgress);
  Segment syn;
  kbugon(!Next(syn) || syn.flags != Segment::kSyn);
  next = {};
  next.from = kPort;
  next.to = syn.from;
  next.sequence = NetworkRandom();
  next.acknowledged = syn.sequence + 1;
  next.flags = Segment::kSyn | Segment::kAcknowledge;
  Put(next);
  ++next.sequence;
  next.flags = Segment::kAcknowledge;
  Segment answer;
  kbugon(!Next(answer) || answer.acknowledged != next.sequence);
  return socket;
}

void ebbrt::test::HostNetwork::Clear() {
  stack_->Forget();
  sent.clear();
  changes = 0;
  Pass(0);
}

bool ebbrt::test::HostNetwork::Send(
    std::span<const std::span<const std::byte>> pieces) {
  Bytes frame;
  for (auto piece : pieces)
    PutAll(frame, piece);
  sent.push_back(std::move(frame));
  return true;
}
