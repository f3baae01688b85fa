// Sending and receiving on sockets of either type, whatever call asks for it.
#ifndef EBBRT_PERSONALITY_SOCKETTRANSFER_H_
#define EBBRT_PERSONALITY_SOCKETTRANSFER_H_

#include "personality/Datagrams.h"

namespace ebbrt {

// MSG_TRUNC: asked for, the size of the whole datagram; told, that it was cut.
constexpr int kMessageTruncate = 0x20;

// What a call names as the target, if it does: as ReadAddress; kIsConnected for
// a stream.
Result<std::optional<InternetAddress>> ReadTarget(SystemCall& call,
                                                  SocketDescriptor& socket,
                                                  uint64_t address,
                                                  uint64_t size);

// `flags`: MSG_OOB is refused, MSG_DONTWAIT obeyed; others change nothing.
Answer Send(SystemCall& call, SocketDescriptor& socket,
            std::span<const UserBytes> parts, int flags,
            std::optional<InternetAddress> to);

// `flags`: MSG_OOB is refused; MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC of a datagram
// and MSG_WAITALL are obeyed; others change nothing.
Answer Receive(SystemCall& call, SocketDescriptor& socket,
               std::span<const UserBytes> parts, int flags, Received& received);

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_SOCKETTRANSFER_H_
