// Messages: an address and a list of places in one struct. Ancillary data, of
// which there is none here, is refused to who sends it.

#include "personality/Calls.h"
#include "personality/SocketArguments.h"
#include "personality/SocketTransfer.h"

namespace {

using namespace ebbrt;

// struct msghdr.
struct Message {
  uint64_t name;
  uint32_t name_size;
  uint32_t padding;
  uint64_t parts;
  uint64_t part_count;
  uint64_t control;
  uint64_t control_size;
  int32_t flags;
  uint32_t more_padding;
};
static_assert(sizeof(Message) == 56);

// struct mmsghdr.
struct CountedMessage {
  Message message;
  uint32_t count;
  uint32_t padding;
};
static_assert(sizeof(CountedMessage) == 64);

constexpr uint64_t kMostMessages = 1024;

Result<Vector<UserBytes>> PartsOf(SystemCall& call, const Message& message) {
  if (message.part_count > kMaxVectors)
    return Errno::kMessageTooLong;
  return ReadVectors(call, message.parts, message.part_count);
}

Answer SendOne(SystemCall& call, SocketDescriptor& socket, uint64_t at,
               int flags) {
  Message message;
  if (!call.space().Read(at, message))
    return Errno::kFault;
  if (message.control_size != 0)
    return Errno::kNotSupported;
  auto to = ReadTarget(call, socket, message.name, message.name_size);
  if (!to)
    return to.error();
  auto parts = PartsOf(call, message);
  if (!parts)
    return parts.error();
  return Send(call, socket, *parts, flags, *to);
}

}  // namespace

ebbrt::Answer ebbrt::personality::SendMessage(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  return SendOne(call, **socket, call.argument(1), call.integer(2));
}

ebbrt::Answer ebbrt::personality::SendMultiple(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto count = std::min<uint64_t>(static_cast<uint32_t>(call.argument(2)),
                                  kMostMessages);
  uint64_t done = 0;
  while (done < count) {
    auto at = call.argument(1) + done * sizeof(CountedMessage);
    auto sent = SendOne(call, **socket, at, call.integer(3));
    if (sent && !call.space().Write(at + offsetof(CountedMessage, count),
                                    static_cast<uint32_t>(*sent)))
      sent = Errno::kFault;
    if (!sent)
      return done > 0 ? Answer(done) : Answer(sent.error());
    ++done;
    call.thread().CommitCall();
    if (!call.GoOn(*sent + sizeof(CountedMessage)))
      break;
  }
  return done;
}

ebbrt::Answer ebbrt::personality::ReceiveMessage(SystemCall& call) {
  auto socket = GetSocket(call);
  if (!socket)
    return socket.error();
  auto at = call.argument(1);
  Message message;
  if (!call.space().Read(at, message))
    return Errno::kFault;
  auto parts = PartsOf(call, message);
  if (!parts)
    return parts.error();
  Received received;
  auto answer = Receive(call, **socket, *parts, call.integer(2), received);
  if (!answer)
    return answer;
  auto size_at = at + offsetof(Message, name_size);
  if (message.name && received.from) {
    if (auto given =
            GiveAddress(call, message.name, size_at, **socket, *received.from);
        !given)
      return given;
  } else if (message.name && !call.space().Write(size_at, uint32_t{0})) {
    return Errno::kFault;
  }
  int32_t flags = received.cut ? kMessageTruncate : 0;
  if (!call.space().Write(at + offsetof(Message, control_size), uint64_t{0}) ||
      !call.space().Write(at + offsetof(Message, flags), flags))
    return Errno::kFault;
  return answer;
}
