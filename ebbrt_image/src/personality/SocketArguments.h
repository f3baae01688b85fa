// What socket calls share: their descriptor, and addresses in the UC's memory.
#ifndef EBBRT_PERSONALITY_SOCKETARGUMENTS_H_
#define EBBRT_PERSONALITY_SOCKETARGUMENTS_H_

#include "files/SocketDescriptor.h"
#include "personality/SystemCall.h"

namespace ebbrt {

constexpr int kUnix = 1;
constexpr int kInternet = 2;

// The socket of argument 0: kBadDescriptor, kNotSocket.
Result<RefPtr<SocketDescriptor>> GetSocket(SystemCall& call);

// A struct sockaddr_in: kInvalid, kFault, kAddressFamily.
Result<InternetAddress> ReadAddress(SystemCall& call, uint64_t address,
                                    uint64_t size);

// To `address`: as much as the room that is told at `size_at`; the whole size
// goes there. kInvalid for a negative room.
Answer GiveAddress(SystemCall& call, uint64_t address, uint64_t size_at,
                   const SocketDescriptor& socket, InternetAddress value);

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_SOCKETARGUMENTS_H_
