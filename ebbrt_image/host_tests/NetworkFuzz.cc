// What comes over the wire: first to nobody, then to a connection. The input
// chooses between noise, segments that fit the connection but for the fields it
// sets, and what the socket's owner does meanwhile.
#include "NetworkFuzzing.h"

namespace {

using ebbrt::RefPtr;
using ebbrt::TcpSocket;
using ebbrt::test::Bytes;
using ebbrt::test::HostNetwork;
using ebbrt::test::kMostSent;
using ebbrt::test::Segment;

Bytes Take(FuzzInput& input, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes)
    byte = static_cast<std::byte>(input.Below(256));
  return bytes;
}

// A frame that is right but for a few bytes of its headers.
void PutBent(FuzzInput& input, HostNetwork& network, const Segment& segment) {
  auto frame = HostNetwork::Frame(segment);
  for (auto count = 1 + input.Below(4); count > 0; --count)
    frame[input.Below(54) % frame.size()] =
        static_cast<std::byte>(input.Below(256));
  if (input.Below(4) == 0)
    frame.resize(input.Below(static_cast<unsigned>(
        frame.size() < 256 ? frame.size() : std::size_t{256})));
  network.stack().Input(frame);
}

void PutSegment(FuzzInput& input, HostNetwork& network, Segment& next) {
  auto segment = next;
  segment.data = Take(input, input.Below(64));
  auto kind = input.Below(8);
  if (kind == 0)
    segment.flags = input.Below(64);
  if (kind == 1)
    segment.sequence += input.Below(256) * 97 - 8000;
  if (kind == 2)
    segment.acknowledged += input.Below(256) * 97 - 8000;
  if (kind == 3)
    segment.window = input.Below(256);
  if (kind == 4)
    segment.flags |= Segment::kFin;
  if (kind == 5)
    segment.flags |= Segment::kReset;
  if (kind >= 6)
    next.sequence += static_cast<std::uint32_t>(segment.data.size());
  network.Put(segment);
}

void Use(FuzzInput& input, TcpSocket& socket) {
  Bytes bytes(1 + input.Below(256) * 8u);
  switch (input.Below(5)) {
  case 0:
    static_cast<void>(socket.Read(bytes));
    break;
  case 1:
    static_cast<void>(socket.Write(bytes));
    break;
  case 2:
    static_cast<void>(socket.Peek(bytes));
    break;
  case 3:
    static_cast<void>(socket.Shutdown(static_cast<int>(input.Below(4))));
    break;
  default:
    if (socket.Available() && *socket.Available() > 0 &&
        !(socket.Ready() & ebbrt::abi::kPollIn))
      std::abort();
    break;
  }
}

void Run(FuzzInput& input, HostNetwork& network) {
  for (auto count = input.Below(4); count > 0; --count)
    network.stack().Input(Take(input, input.Below(100)));
  Segment next;
  auto socket = network.Connect(next);
  while (!input.done() && network.sent.size() < kMostSent) {
    Segment sent;
    switch (input.Below(8)) {
    case 0:
      network.stack().Input(Take(input, input.Below(128)));
      break;
    case 1:
      PutBent(input, network, next);
      break;
    case 2:
    case 3:
      PutSegment(input, network, next);
      break;
    case 4:
      if (socket)
        Use(input, *socket);
      break;
    case 5:
      network.Pass(input.Below(256) * 20);
      break;
    case 6:
      if (network.Next(sent) && sent.from == next.to)
        next.acknowledged = sent.sequence +
                            static_cast<std::uint32_t>(sent.data.size()) +
                            (sent.flags & Segment::kFin ? 1 : 0);
      break;
    default:
      HostNetwork::SetShort(input.Below(4) == 0);
      if (input.Below(32) == 0)
        socket = nullptr;
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  return ebbrt::test::FuzzNetwork(data, size, &Run);
}
