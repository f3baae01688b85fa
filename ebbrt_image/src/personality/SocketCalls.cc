// Sockets: making, connecting, addresses and options.

#include "files/DatagramSocket.h"
#include "files/StreamSocket.h"
#include "personality/Calls.h"
#include "personality/SocketArguments.h"

namespace {

using namespace ebbrt;

constexpr int kStream = 1;
constexpr int kDatagram = 2;
constexpr int kTypeMask = 0xf;
constexpr int kTypeFlags = abi::kOpenNonBlock | abi::kOpenCloseOnExec;
constexpr int kTcp = 6;
constexpr int kUdp = 17;
constexpr int kLevelSocket = 1;
constexpr int kLevelTcp = 6;
constexpr int kOptionType = 3;
constexpr int kOptionError = 4;
constexpr int kOptionSendBuffer = 7;
constexpr int kOptionReceiveBuffer = 8;
constexpr int kOptionReceiveTime = 20;
constexpr int kOptionSendTime = 21;
constexpr int kOptionListening = 30;
constexpr int kOptionProtocol = 38;
constexpr int kOptionFamily = 39;
constexpr int kOptionNoDelay = 1;
constexpr int kBufferSize = 64 << 10;

// use(socket, address) with those that the call names.
template <class Use> Answer WithAddress(SystemCall& call, Use use) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto address = ReadAddress(call, call.argument(1), call.argument(2));
  if (!address)
    return address.error();
  return use(**socket, *address);
}

Answer GiveNumber(SystemCall& call, RefPtr<Descriptor> socket, int flags) {
  auto number = call.uc().descriptors().Allocate(
      std::move(socket), (flags & abi::kOpenCloseOnExec) != 0);
  if (!number)
    return number.error();
  return static_cast<uint64_t>(*number);
}

Answer AcceptWith(SystemCall& call, int flags) {
  if ((flags & ~kTypeFlags) != 0)
    return Errno::kInvalid;
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  if ((*socket)->type() != SocketType::kStream)
    return Errno::kNotSupported;
  RefPtr<Descriptor> accepted;
  auto answer = call.Wait(!(*socket)->non_blocking(), kNever, [&]() -> Answer {
    auto taken = (*socket)->Accept(flags & abi::kOpenNonBlock);
    if (!taken)
      return taken.error();
    accepted = std::move(*taken);
    return uint64_t{0};
  });
  if (!answer)
    return answer;
  call.uc().DescriptorsChanged();
  auto& made = static_cast<SocketDescriptor&>(*accepted);
  if (call.argument(1))
    if (auto given = GiveAddress(call, call.argument(1), call.argument(2), made,
                                 made.peer().value_or(InternetAddress()));
        !given)
      return given;
  return GiveNumber(call, std::move(accepted), flags);
}

}  // namespace

// What a UC may reach is looked at when it reaches out.
ebbrt::Answer ebbrt::personality::Socket(SystemCall& call) {
  auto type = call.integer(1);
  if (call.integer(0) != kInternet)
    return Errno::kAddressFamily;
  auto kind = type & kTypeMask;
  if ((type & ~(kTypeMask | kTypeFlags)) != 0)
    return Errno::kInvalid;
  if (kind != kStream && kind != kDatagram)
    return Errno::kSocketTypeNotSupported;
  auto protocol = call.integer(2);
  if (protocol != 0 && protocol != (kind == kStream ? kTcp : kUdp))
    return Errno::kProtocolNotSupported;
  auto* owner = &call.uc().network();
  auto status = type & abi::kOpenNonBlock;
  RefPtr<Descriptor> socket;
  if (kind == kStream)
    socket = MakeRef<StreamSocket>(owner, status);
  else
    socket = MakeRef<DatagramSocket>(owner, status);
  return GiveNumber(call, std::move(socket), type);
}

ebbrt::Answer ebbrt::personality::SocketPair(SystemCall& call) {
  auto type = call.integer(1);
  if (call.integer(0) != kUnix)
    return Errno::kAddressFamily;
  if ((type & kTypeMask) != kStream)
    return Errno::kSocketTypeNotSupported;
  auto& table = call.uc().descriptors();
  auto close_on_exec = (type & abi::kOpenCloseOnExec) != 0;
  auto pair = MakeSocketPair(type & abi::kOpenNonBlock);
  auto first = table.Allocate(pair.first, close_on_exec);
  if (!first)
    return first.error();
  auto second = table.Allocate(pair.second, close_on_exec);
  if (!second) {
    static_cast<void>(table.Close(*first));
    return second.error();
  }
  const int numbers[2] = {*first, *second};
  return call.Give(3, numbers);
}

ebbrt::Answer ebbrt::personality::Connect(SystemCall& call) {
  return WithAddress(call, [&](auto& socket, auto address) -> Answer {
    auto begun = socket.Connect(address);
    call.uc().DescriptorsChanged();
    if (begun || begun.error() != Errno::kInProgress || socket.non_blocking())
      return Zero(begun);
    return call.Wait(true, kNever, [&]() { return Zero(socket.Connected()); });
  });
}

ebbrt::Answer ebbrt::personality::Bind(SystemCall& call) {
  return WithAddress(call, [](auto& socket, auto address) {
    return Zero(socket.Bind(address));
  });
}

ebbrt::Answer ebbrt::personality::Listen(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  return Zero((*descriptor)->Listen(call.integer(1)));
}

ebbrt::Answer ebbrt::personality::Accept(SystemCall& call) {
  return AcceptWith(call, 0);
}

ebbrt::Answer ebbrt::personality::Accept4(SystemCall& call) {
  return AcceptWith(call, call.integer(3));
}

ebbrt::Answer ebbrt::personality::Shutdown(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto answer = Zero((*socket)->Shutdown(call.integer(1)));
  call.uc().DescriptorsChanged();
  return answer;
}

ebbrt::Answer ebbrt::personality::SocketName(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  return GiveAddress(call, call.argument(1), call.argument(2), **socket,
                     (*socket)->local());
}

ebbrt::Answer ebbrt::personality::PeerName(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto peer = (*socket)->peer();
  if (!peer && (*socket)->internet())
    return Errno::kNotConnected;
  return GiveAddress(call, call.argument(1), call.argument(2), **socket,
                     peer.value_or(InternetAddress()));
}

// Those that are not known tune what does not exist here.
ebbrt::Answer ebbrt::personality::SetSocketOption(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto level = call.integer(1), option = call.integer(2);
  // Who counts on these would wait for ever.
  if (level == kLevelSocket &&
      (option == kOptionReceiveTime || option == kOptionSendTime))
    return Errno::kProtocolOption;
  if (level == kLevelTcp && option == kOptionNoDelay) {
    int value;
    if (call.argument(4) < sizeof(value))
      return Errno::kInvalid;
    if (!call.space().Read(call.argument(3), value))
      return Errno::kFault;
    (*socket)->SetNoDelay(value != 0);
  }
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::GetSocketOption(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  if (call.integer(1) != kLevelSocket)
    return Errno::kProtocolOption;
  int value;
  auto stream = (*socket)->type() == SocketType::kStream;
  auto internet = (*socket)->internet();
  switch (call.integer(2)) {
  case kOptionType:
    value = stream ? kStream : kDatagram;
    break;
  case kOptionError:
    value = (*socket)->TakeError();
    break;
  case kOptionSendBuffer:
  case kOptionReceiveBuffer:
    value = kBufferSize;
    break;
  case kOptionListening:
    value = (*socket)->listening() ? 1 : 0;
    break;
  case kOptionProtocol:
    value = !internet ? 0 : stream ? kTcp : kUdp;
    break;
  case kOptionFamily:
    value = internet ? kInternet : kUnix;
    break;
  default:
    return Errno::kProtocolOption;
  }
  uint32_t room;
  if (!call.space().Read(call.argument(4), room))
    return Errno::kFault;
  if (room < sizeof(value))
    return Errno::kInvalid;
  if (auto given = call.Give(3, value); !given)
    return given;
  return call.Give(4, static_cast<uint32_t>(sizeof(value)));
}
