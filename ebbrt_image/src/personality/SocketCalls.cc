// Sockets: connected pairs inside the UC, and those of the network for UCs that
// may reach something.

#include <algorithm>

#include "files/SocketEnd.h"
#include "net/NameSocket.h"
#include "net/TcpSocket.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr int kUnix = 1;
constexpr int kInternet = 2;
constexpr int kStream = 1;
constexpr int kDatagram = 2;
constexpr int kTypeMask = 0xf;
constexpr int kPeek = 0x2;
constexpr int kDontWait = 0x40;
constexpr int kLevelSocket = 1;
constexpr int kLevelTcp = 6;
constexpr int kOptionType = 3;
constexpr int kOptionError = 4;
constexpr int kOptionSendBuffer = 7;
constexpr int kOptionReceiveBuffer = 8;
constexpr int kOptionNoDelay = 1;
constexpr int kBufferSize = 64 << 10;

// struct sockaddr_in: numbers in the order of the wire.
struct NamedAddress {
  uint16_t family;
  uint16_t port;
  uint32_t host;
  uint8_t padding[8];
};
static_assert(sizeof(NamedAddress) == 16);

Result<RefPtr<Descriptor>> GetSocket(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (descriptor && (*descriptor)->kind() != Descriptor::Kind::kSocket)
    return Errno::kNotSocket;
  return descriptor;
}

SocketDescriptor& AsSocket(const RefPtr<Descriptor>& descriptor) {
  return static_cast<SocketDescriptor&>(*descriptor);
}

Result<InternetAddress> ReadAddress(SystemCall& call, uint64_t address,
                                    uint64_t size) {
  NamedAddress named;
  if (size < sizeof(named))
    return Errno::kInvalid;
  if (!call.space().Read(address, named))
    return Errno::kFault;
  if (named.family != kInternet)
    return Errno::kAddressFamily;
  return InternetAddress{__builtin_bswap32(named.host),
                         __builtin_bswap16(named.port)};
}

// As much of the address as there is room for, and its whole size.
Answer GiveAddress(SystemCall& call, unsigned address, unsigned size_at,
                   const SocketDescriptor& socket, InternetAddress value) {
  NamedAddress named = {};
  named.family = socket.internet() ? kInternet : kUnix;
  named.port = __builtin_bswap16(value.port);
  named.host = __builtin_bswap32(value.host);
  auto whole = socket.internet() ? sizeof(named) : sizeof(named.family);
  uint32_t size;
  if (!call.space().Read(call.argument(size_at), size))
    return Errno::kFault;
  auto bytes = std::as_bytes(std::span(&named, 1));
  if (!call.space().CopyOut(call.argument(address),
                            bytes.first(std::min<size_t>(size, whole))))
    return Errno::kFault;
  return call.Give(size_at, static_cast<uint32_t>(whole));
}

// A datagram goes out as one, whatever pages it lies on.
Answer SendDatagram(SystemCall& call, SocketDescriptor& socket,
                    uint64_t address, uint64_t size) {
  std::byte message[kMaxNameMessage];
  if (size > sizeof(message))
    return Errno::kMessageTooLong;
  auto bytes = std::span(message).first(size);
  if (!call.space().CopyIn(bytes, address))
    return Errno::kFault;
  auto written = socket.Write(bytes);
  call.uc().DescriptorsChanged();
  return written ? Answer(*written) : Answer(written.error());
}

Answer SendStream(SystemCall& call, SocketDescriptor& socket) {
  // What the network takes over, lwIP answers for.
  if (!socket.internet() && !call.MayBuffer(socket, call.argument(2)))
    return Errno::kNoMemory;
  auto may_wait = !socket.non_blocking() && !(call.integer(3) & kDontWait);
  uint64_t total = 0;
  auto size = call.argument(2);
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    Result<size_t> last = size_t{0};
    uint64_t sent = 0;
    auto read = call.space().ForEachPiece(
        call.argument(1) + total, size - total, [&](auto piece) {
          last = socket.Write(piece);
          if (last)
            sent += *last;
          return last && *last == piece.size();
        });
    total += sent;
    if (sent > 0) {
      call.uc().DescriptorsChanged();
      // A blocking send ends when all is sent.
      if (total < size && may_wait && read) {
        call.thread().CommitCall();
        return Errno::kAgain;
      }
      return total;
    }
    if (!last)
      return last.error();
    return read ? Answer(total) : Answer(Errno::kFault);
  });
  if (total > 0)
    return total;
  return answer;
}

}  // namespace

// kAccess for a UC that may reach nothing.
ebbrt::Answer ebbrt::personality::Socket(SystemCall& call) {
  auto type = call.integer(1);
  auto* stack = TcpIp::Instance();
  if (call.integer(0) != kInternet || !stack)
    return Errno::kAddressFamily;
  auto kind = type & kTypeMask;
  if (kind != kStream && kind != kDatagram)
    return Errno::kSocketTypeNotSupported;
  auto& uc = call.uc();
  if (!uc.network_rights())
    return Errno::kAccess;
  auto status = type & abi::kOpenNonBlock;
  RefPtr<Descriptor> socket;
  if (kind == kStream)
    socket = MakeRef<TcpSocket>(*stack, uc, cpu::Index(), status);
  else
    socket = MakeRef<NameSocket>(uc, status);
  auto number = uc.descriptors().Allocate(std::move(socket),
                                          (type & abi::kOpenCloseOnExec) != 0);
  if (!number)
    return number.error();
  return static_cast<uint64_t>(*number);
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
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto address = ReadAddress(call, call.argument(1), call.argument(2));
  if (!address)
    return address.error();
  auto& socket = AsSocket(*descriptor);
  auto begun = socket.Connect(*address);
  if (begun || begun.error() != Errno::kInProgress || socket.non_blocking())
    return Zero(begun);
  return call.Wait(true, kNever, [&]() { return Zero(socket.Connected()); });
}

ebbrt::Answer ebbrt::personality::Bind(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto address = ReadAddress(call, call.argument(1), call.argument(2));
  if (!address)
    return address.error();
  return Zero(AsSocket(*descriptor).Bind(*address));
}

ebbrt::Answer ebbrt::personality::Listen(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  return Zero(AsSocket(*descriptor).Listen(call.integer(1)));
}

// Flags other than MSG_DONTWAIT and MSG_NOSIGNAL change nothing.
ebbrt::Answer ebbrt::personality::SendTo(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto& socket = AsSocket(*descriptor);
  if (socket.type() == SocketType::kStream) {
    // Addresses are not for connected sockets.
    if (call.argument(4))
      return Errno::kIsConnected;
    return SendStream(call, socket);
  }
  if (call.argument(4)) {
    auto address = ReadAddress(call, call.argument(4), call.argument(5));
    if (!address)
      return address.error();
    if (auto connected = socket.Connect(*address); !connected)
      return connected.error();
  }
  return SendDatagram(call, socket, call.argument(1), call.argument(2));
}

// One message of one part, which is what resolvers send; they try the rest
// again.
ebbrt::Answer ebbrt::personality::SendMultiple(SystemCall& call) {
  struct Part {
    uint64_t address;
    uint64_t size;
  };
  struct Message {
    uint64_t name;
    uint64_t name_size;
    uint64_t parts;
    uint64_t part_count;
    uint64_t control;
    uint64_t control_size;
    uint64_t flags;
    uint64_t sent;
  };
  static_assert(sizeof(Message) == 64);
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto& socket = AsSocket(*descriptor);
  Message message;
  Part part;
  if (call.argument(2) == 0)
    return uint64_t{0};
  if (!call.space().Read(call.argument(1), message) ||
      !call.space().Read(message.parts, part))
    return Errno::kFault;
  if (socket.type() != SocketType::kDatagram || message.name ||
      message.control_size || message.part_count != 1)
    return Errno::kNotSupported;
  auto sent = SendDatagram(call, socket, part.address, part.size);
  if (!sent)
    return sent;
  auto count = static_cast<uint32_t>(*sent);
  if (!call.space().Write(call.argument(1) + offsetof(Message, sent), count))
    return Errno::kFault;
  return uint64_t{1};
}

ebbrt::Answer ebbrt::personality::ReceiveFrom(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto& socket = AsSocket(*descriptor);
  auto flags = call.integer(3);
  auto may_wait = !socket.non_blocking() && !(flags & kDontWait);
  // What is only looked at cannot be continued in the next piece, nor can a
  // datagram.
  auto one = (flags & kPeek) || socket.type() == SocketType::kDatagram;
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    uint64_t total = 0;
    Result<size_t> last = size_t{0};
    auto written = call.space().ForEachWritablePiece(
        call.argument(1), call.argument(2), [&](auto piece) {
          last = flags & kPeek ? socket.Peek(piece) : socket.Read(piece);
          if (last)
            total += *last;
          return last && *last == piece.size() && !one;
        });
    if (total > 0) {
      call.uc().DescriptorsChanged();
      return total;
    }
    if (!last)
      return last.error();
    return written ? Answer(total) : Answer(Errno::kFault);
  });
  if (answer && call.argument(4) && call.argument(5))
    if (auto peer = socket.peer())
      if (auto given = GiveAddress(call, 4, 5, socket, *peer); !given)
        return given;
  return answer;
}

ebbrt::Answer ebbrt::personality::Shutdown(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto answer = Zero(AsSocket(*socket).Shutdown(call.integer(1)));
  call.uc().DescriptorsChanged();
  return answer;
}

ebbrt::Answer ebbrt::personality::SocketName(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  return GiveAddress(call, 1, 2, AsSocket(*socket), AsSocket(*socket).local());
}

ebbrt::Answer ebbrt::personality::PeerName(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto peer = AsSocket(*socket).peer();
  if (!peer && AsSocket(*socket).internet())
    return Errno::kNotConnected;
  return GiveAddress(call, 1, 2, AsSocket(*socket),
                     peer.value_or(InternetAddress()));
}

// Those that are not known tune what does not exist here.
ebbrt::Answer ebbrt::personality::SetSocketOption(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  if (call.integer(1) == kLevelTcp && call.integer(2) == kOptionNoDelay) {
    int value;
    if (call.argument(4) < sizeof(value))
      return Errno::kInvalid;
    if (!call.space().Read(call.argument(3), value))
      return Errno::kFault;
    AsSocket(*socket).SetNoDelay(value != 0);
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
  switch (call.integer(2)) {
  case kOptionType:
    value =
        AsSocket(*socket).type() == SocketType::kStream ? kStream : kDatagram;
    break;
  case kOptionError:
    value = AsSocket(*socket).TakeError();
    break;
  case kOptionSendBuffer:
  case kOptionReceiveBuffer:
    value = kBufferSize;
    break;
  default:
    return Errno::kProtocolOption;
  }
  if (auto given = call.Give(3, value); !given)
    return given;
  return call.Give(4, static_cast<uint32_t>(sizeof(value)));
}
