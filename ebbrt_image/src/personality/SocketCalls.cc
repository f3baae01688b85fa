// Sockets: connected pairs inside the UC. There is no network in this image, so
// making any other socket is refused as an unknown address family.

#include <algorithm>

#include "files/SocketEnd.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr int kUnix = 1;
constexpr int kStream = 1;
constexpr int kTypeMask = 0xf;
constexpr int kPeek = 0x2;
constexpr int kDontWait = 0x40;
constexpr int kLevelSocket = 1;
constexpr int kOptionType = 3;
constexpr int kOptionError = 4;

Result<RefPtr<Descriptor>> GetSocket(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (descriptor && (*descriptor)->kind() != Descriptor::Kind::kSocket)
    return Errno::kNotSocket;
  return descriptor;
}

}  // namespace

ebbrt::Answer ebbrt::personality::Socket(SystemCall&) {
  return Errno::kAddressFamily;
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

// Flags other than MSG_DONTWAIT and MSG_NOSIGNAL change nothing; addresses are
// not for connected sockets.
ebbrt::Answer ebbrt::personality::SendTo(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  if (call.argument(4))
    return Errno::kIsConnected;
  if (!call.MayBuffer(**socket, call.argument(2)))
    return Errno::kNoMemory;
  auto may_wait = !(*socket)->non_blocking() && !(call.integer(3) & kDontWait);
  return call.Wait(may_wait, kNever, [&]() -> Answer {
    uint64_t total = 0;
    Result<size_t> last = size_t{0};
    auto read = call.space().ForEachPiece(
        call.argument(1), call.argument(2), [&](auto piece) {
          last = (*socket)->Write(piece);
          if (last)
            total += *last;
          return last && *last == piece.size();
        });
    if (total > 0) {
      call.uc().DescriptorsChanged();
      return total;
    }
    if (!last)
      return last.error();
    return read ? Answer(total) : Answer(Errno::kFault);
  });
}

ebbrt::Answer ebbrt::personality::ReceiveFrom(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto& end = static_cast<SocketEnd&>(**socket);
  auto flags = call.integer(3);
  auto may_wait = !end.non_blocking() && !(flags & kDontWait);
  return call.Wait(may_wait, kNever, [&]() -> Answer {
    uint64_t total = 0;
    Result<size_t> last = size_t{0};
    // What is only looked at cannot be continued in the next piece.
    auto written = call.space().ForEachWritablePiece(
        call.argument(1), call.argument(2), [&](auto piece) {
          last = flags & kPeek ? end.Peek(piece) : end.Read(piece);
          if (last)
            total += *last;
          return last && *last == piece.size() && !(flags & kPeek);
        });
    if (total > 0) {
      call.uc().DescriptorsChanged();
      return total;
    }
    if (!last)
      return last.error();
    return written ? Answer(total) : Answer(Errno::kFault);
  });
}

ebbrt::Answer ebbrt::personality::Shutdown(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto answer =
      Zero(static_cast<SocketEnd&>(**socket).Shutdown(call.integer(1)));
  call.uc().DescriptorsChanged();
  return answer;
}

// getsockname and getpeername: both ends are unnamed.
ebbrt::Answer ebbrt::personality::SocketName(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  const uint16_t family = kUnix;
  uint32_t size;
  if (!call.space().Read(call.argument(2), size))
    return Errno::kFault;
  auto copied = std::min<size_t>(size, sizeof(family));
  if (!call.space().CopyOut(call.argument(1),
                            std::as_bytes(std::span(&family, 1)).first(copied)))
    return Errno::kFault;
  return call.Give(2, static_cast<uint32_t>(sizeof(family)));
}

// Options tune what does not exist here.
ebbrt::Answer ebbrt::personality::SetSocketOption(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
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
    value = kStream;
    break;
  case kOptionError:
    value = 0;
    break;
  default:
    return Errno::kProtocolOption;
  }
  if (auto given = call.Give(3, value); !given)
    return given;
  return call.Give(4, static_cast<uint32_t>(sizeof(value)));
}
