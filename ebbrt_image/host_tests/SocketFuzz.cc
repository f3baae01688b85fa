// What a UC does with its sockets, while frames come in: everything the system
// calls ask of them, in any order, and now and then a clone of them all.
#include <string>

#include "NetworkFuzzing.h"
#include "SocketSide.h"
#include "files/Loopback.h"

namespace {

using namespace ebbrt;
using ebbrt::test::Bytes;
using ebbrt::test::HostNetwork;
using ebbrt::test::kMostSent;
using ebbrt::test::SocketSide;

constexpr std::uint32_t kHosts[] = {loopback::kHost, 0, loopback::kHost + 1,
                                    HostNetwork::kPeer, HostNetwork::kOwn};

InternetAddress TakeAddress(FuzzInput& input) {
  // Half of all, so that ends find each other.
  if (input.Below(2) == 0)
    return {loopback::kHost, 5000};
  auto host = kHosts[input.Below(5)];
  // Names are asked for at 53, and the peer is at 80.
  constexpr std::uint16_t kPorts[] = {0, 53, HostNetwork::kPort, 5000, 5001};
  return {host, kPorts[input.Below(5)]};
}

SocketDescriptor* Pick(FuzzInput& input, SocketSide& side) {
  auto found = side.table.Get(static_cast<int>(input.Below(40)));
  return found ? static_cast<SocketDescriptor*>(found->get()) : nullptr;
}

void Use(FuzzInput& input, SocketSide& side, SocketDescriptor& socket) {
  Bytes bytes(input.Below(256) * (input.Below(8) ? 1u : 250u));
  switch (input.Below(11)) {
  case 0:
    static_cast<void>(socket.Connect(TakeAddress(input)));
    break;
  case 1:
    static_cast<void>(socket.Bind(TakeAddress(input)));
    break;
  case 2:
    static_cast<void>(socket.Listen(0));
    break;
  case 3:
    if (auto accepted = socket.Accept(0))
      static_cast<void>(side.table.Allocate(std::move(*accepted), false));
    break;
  case 4:
    static_cast<void>(socket.Write(bytes));
    break;
  case 5:
    static_cast<void>(socket.Read(bytes));
    break;
  case 6:
    static_cast<void>(socket.Peek(bytes));
    break;
  case 7:
    static_cast<void>(socket.SendTo(bytes, TakeAddress(input)));
    break;
  case 8:
    static_cast<void>(socket.Receive(input.Below(2) == 0));
    break;
  case 9:
    static_cast<void>(socket.Shutdown(static_cast<int>(input.Below(4))));
    break;
  default:
    static_cast<void>(socket.TakeError());
    static_cast<void>(socket.Connected());
    break;
  }
  auto available = socket.Available();
  if (available && *available > 0 && !(socket.Ready() & abi::kPollIn))
    std::abort();
}

void PutFrame(FuzzInput& input, SocketSide& side) {
  auto* socket = Pick(input, side);
  auto to = socket ? socket->local().port : std::uint16_t{5000};
  auto frame = HostNetwork::DatagramFrame(
      HostNetwork::kPeer, input.Below(4) ? HostNetwork::kPort : 81, to,
      std::string(input.Below(256), 'd'));
  for (auto count = input.Below(4); count > 0; --count)
    frame[input.Below(42)] = static_cast<std::byte>(input.Below(256));
  if (input.Below(8) == 0)
    frame.resize(input.Below(60) % frame.size());
  side.network.stack().Input(frame);
}

// Both copies hold as much as what they are copies of.
void Copy(SocketSide& side) {
  SocketSide clone(side.network), loaded(side.network);
  test::CloneSockets(side, clone);
  if (!test::SaveAndLoadSockets(side, loaded))
    std::abort();
  side.table.ForEach([&](int number, Descriptor& descriptor) {
    auto& socket = static_cast<SocketDescriptor&>(descriptor);
    // What lay outside is lost.
    if (!socket.peer() || loopback::IsWithin(socket.peer()->host))
      if (clone.At(number).Held() != loaded.At(number).Held() ||
          clone.At(number).Held() > socket.Held())
        std::abort();
  });
}

void Run(FuzzInput& input, HostNetwork& network) {
  SocketSide side(network);
  // Something to work on.
  for (int i = 0; i < 3; ++i) {
    side.Stream();
    side.Datagrams();
  }
  while (!input.done() && side.network.sent.size() < kMostSent) {
    switch (input.Below(16)) {
    case 0:
      static_cast<void>(side.table.Allocate(
          MakeRef<StreamSocket>(&side, abi::kOpenNonBlock), false));
      break;
    case 1:
      static_cast<void>(side.table.Allocate(
          MakeRef<DatagramSocket>(&side, abi::kOpenNonBlock), false));
      break;
    case 2:
      static_cast<void>(side.table.Close(static_cast<int>(input.Below(40))));
      break;
    case 3:
      PutFrame(input, side);
      break;
    case 4:
      side.network.Pass(input.Below(256) * 20);
      break;
    case 5:
      if (input.Below(16) == 0)
        Copy(side);
      break;
    case 6:
      HostNetwork::SetShort(input.Below(4) == 0);
      break;
    case 7: {
      test::SentDatagram sent;
      static_cast<void>(side.network.NextDatagram(sent));
      break;
    }
    default:
      if (auto* socket = Pick(input, side))
        Use(input, side, *socket);
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  return ebbrt::test::FuzzNetwork(data, size, &Run);
}
