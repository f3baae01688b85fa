#include "personality/SocketTransfer.h"

#include "personality/Calls.h"
#include "personality/SocketArguments.h"

namespace {

using namespace ebbrt;

constexpr int kOutOfBand = 0x1;
constexpr int kPeek = 0x2;
constexpr int kDontWait = 0x40;
constexpr int kWaitAll = 0x100;
constexpr int kErrorQueue = 0x2000;

Answer SendStream(SystemCall& call, SocketDescriptor& socket,
                  std::span<const UserBytes> parts, int flags) {
  auto size = TotalSize(parts);
  if (!call.MayBuffer(socket, size))
    return Errno::kNoMemory;
  auto may_wait = !socket.non_blocking() && !(flags & kDontWait);
  uint64_t total = 0;
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    Result<size_t> last = size_t{0};
    uint64_t sent = 0;
    bool readable = true;
    ForEachFrom(parts, total, [&](UserBytes part) {
      bool whole = true;
      readable =
          call.space().ForEachPiece(part.address, part.size, [&](auto piece) {
            last = socket.Write(piece);
            if (last)
              sent += *last;
            whole = last && *last == piece.size();
            return whole;
          });
      return readable && whole;
    });
    total += sent;
    if (sent > 0) {
      call.uc().DescriptorsChanged();
      // A blocking send ends when all is sent.
      if (total < size && may_wait && readable) {
        call.thread().CommitCall();
        return Errno::kAgain;
      }
      return total;
    }
    if (!last)
      return last.error();
    return readable ? Answer(total) : Answer(Errno::kFault);
  });
  if (total > 0)
    return total;
  return answer;
}

// What could be received, which stays; 0 at the end.
Answer LookAt(SystemCall& call, SocketDescriptor& socket,
              std::span<const UserBytes> parts) {
  auto size = TotalSize(parts);
  if (size == 0)
    return size;
  // One byte asks whether it is at its end, or has failed.
  auto available = socket.Available();
  auto there = available ? std::max<uint64_t>(*available, 1) : uint64_t{1};
  Vector<std::byte> bytes;
  bytes.Resize(std::min(size, there));
  auto got = socket.Peek(bytes);
  if (!got)
    return got.error();
  return Scatter(call, parts, std::span(bytes.data(), *got));
}

// What is there for the parts behind the first `total` bytes; 0 at the end.
Answer ReceiveMore(SystemCall& call, SocketDescriptor& socket,
                   std::span<const UserBytes> parts, uint64_t total) {
  Result<size_t> last = size_t{0};
  uint64_t got = 0;
  bool writable = true;
  ForEachFrom(parts, total, [&](UserBytes part) {
    bool whole = true;
    writable = call.space().ForEachWritablePiece(
        part.address, part.size, [&](auto piece) {
          last = socket.Read(piece);
          if (last)
            got += *last;
          whole = last && *last == piece.size();
          return whole;
        });
    return writable && whole;
  });
  if (got > 0) {
    call.uc().DescriptorsChanged();
    return got;
  }
  if (!last)
    return last.error();
  return writable ? Answer(got) : Answer(Errno::kFault);
}

Answer ReceiveStream(SystemCall& call, SocketDescriptor& socket,
                     std::span<const UserBytes> parts, int flags) {
  auto may_wait = !socket.non_blocking() && !(flags & kDontWait);
  if (flags & kPeek)
    return call.Wait(may_wait, kNever,
                     [&]() { return LookAt(call, socket, parts); });
  auto fill = (flags & kWaitAll) != 0 && may_wait;
  auto size = TotalSize(parts);
  uint64_t total = 0;
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    for (;;) {
      auto got = ReceiveMore(call, socket, parts, total);
      if (!got)
        return got;
      total += *got;
      if (*got == 0 || total == size || !fill)
        return total;
      call.thread().CommitCall();
    }
  });
  if (total > 0)
    return total;
  return answer;
}

}  // namespace

ebbrt::Result<std::optional<ebbrt::InternetAddress>>
ebbrt::ReadTarget(SystemCall& call, SocketDescriptor& socket, uint64_t address,
                  uint64_t size) {
  if (!address)
    return std::optional<InternetAddress>();
  // Addresses are not for connected sockets.
  if (socket.type() == SocketType::kStream)
    return Errno::kIsConnected;
  auto target = ReadAddress(call, address, size);
  if (!target)
    return target.error();
  return std::optional<InternetAddress>(*target);
}

ebbrt::Answer ebbrt::Send(SystemCall& call, SocketDescriptor& socket,
                          std::span<const UserBytes> parts, int flags,
                          std::optional<InternetAddress> to) {
  if (flags & kOutOfBand)
    return Errno::kNotSupported;
  return socket.type() == SocketType::kStream
             ? SendStream(call, socket, parts, flags)
             : SendDatagram(call, socket, parts, to);
}

ebbrt::Answer ebbrt::Receive(SystemCall& call, SocketDescriptor& socket,
                             std::span<const UserBytes> parts, int flags,
                             Received& received) {
  if (flags & kOutOfBand)
    return Errno::kInvalid;
  // Nothing is ever in that.
  if (flags & kErrorQueue)
    return Errno::kAgain;
  if (socket.type() == SocketType::kDatagram)
    return ReceiveDatagram(call, socket, parts,
                           {(flags & kPeek) != 0, !(flags & kDontWait),
                            (flags & kMessageTruncate) != 0},
                           received);
  auto answer = ReceiveStream(call, socket, parts, flags);
  if (answer)
    received.from = socket.peer();
  return answer;
}

ebbrt::Answer ebbrt::personality::SendTo(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto to = ReadTarget(call, **socket, call.argument(4), call.argument(5));
  if (!to)
    return to.error();
  const UserBytes parts[] = {{call.argument(1), call.argument(2)}};
  return Send(call, **socket, parts, call.integer(3), *to);
}

ebbrt::Answer ebbrt::personality::ReceiveFrom(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  const UserBytes parts[] = {{call.argument(1), call.argument(2)}};
  Received received;
  auto answer = Receive(call, **socket, parts, call.integer(3), received);
  if (!answer || !received.from || !call.argument(4) || !call.argument(5))
    return answer;
  if (auto given = GiveAddress(call, call.argument(4), call.argument(5),
                               **socket, *received.from);
      !given)
    return given;
  return answer;
}
