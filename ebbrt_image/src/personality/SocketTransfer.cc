// Sending and receiving on sockets.

#include "personality/Calls.h"
#include "personality/Datagrams.h"
#include "personality/SocketArguments.h"

namespace {

using namespace ebbrt;

constexpr int kPeek = 0x2;
constexpr int kTruncate = 0x20;
constexpr int kDontWait = 0x40;

Answer SendStream(SystemCall& call, SocketDescriptor& socket) {
  if (!call.MayBuffer(socket, call.argument(2)))
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

// Flags other than MSG_DONTWAIT and MSG_NOSIGNAL change nothing.
ebbrt::Answer ebbrt::personality::SendTo(SystemCall& call) {
  auto descriptor = GetSocket(call);
  if (!descriptor)
    return descriptor.error();
  auto& socket = **descriptor;
  if (socket.type() == SocketType::kStream) {
    // Addresses are not for connected sockets.
    if (call.argument(4))
      return Errno::kIsConnected;
    return SendStream(call, socket);
  }
  std::optional<InternetAddress> to;
  if (call.argument(4)) {
    auto address = ReadAddress(call, call.argument(4), call.argument(5));
    if (!address)
      return address.error();
    to = *address;
  }
  return SendDatagram(call, socket, call.argument(1), call.argument(2), to);
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
  auto& socket = **descriptor;
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
  auto sent = SendDatagram(call, socket, part.address, part.size, {});
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
  auto& socket = **descriptor;
  auto flags = call.integer(3);
  auto give = [&](InternetAddress from) {
    return call.argument(4) && call.argument(5)
               ? GiveAddress(call, 4, 5, socket, from)
               : Answer(uint64_t{0});
  };
  if (socket.type() == SocketType::kDatagram) {
    InternetAddress from;
    ReceiveOptions options = {(flags & kPeek) != 0, !(flags & kDontWait),
                              (flags & kTruncate) != 0};
    auto answer = ReceiveDatagram(call, socket, call.argument(1),
                                  call.argument(2), options, from);
    if (!answer)
      return answer;
    if (auto given = give(from); !given)
      return given;
    return answer;
  }
  auto may_wait = !socket.non_blocking() && !(flags & kDontWait);
  auto answer = call.Wait(may_wait, kNever, [&]() -> Answer {
    uint64_t total = 0;
    Result<size_t> last = size_t{0};
    auto written = call.space().ForEachWritablePiece(
        call.argument(1), call.argument(2), [&](auto piece) {
          // What is only looked at cannot be continued in the next piece.
          last = flags & kPeek ? socket.Peek(piece) : socket.Read(piece);
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
  if (!answer)
    return answer;
  if (auto peer = socket.peer())
    if (auto given = give(*peer); !given)
      return given;
  return answer;
}
