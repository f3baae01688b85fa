// Datagrams between the UC's memory and a socket, each as one whatever pages it
// lies on.
#ifndef EBBRT_PERSONALITY_DATAGRAMS_H_
#define EBBRT_PERSONALITY_DATAGRAMS_H_

#include <optional>

#include "files/SocketDescriptor.h"
#include "personality/SystemCall.h"

namespace ebbrt {

// Null for all that has no datagrams.
SocketDescriptor* AsDatagramSocket(Descriptor& descriptor);

// Without an address: to whom the socket is connected.
Answer SendDatagram(SystemCall& call, SocketDescriptor& socket,
                    uint64_t address, uint64_t size,
                    std::optional<InternetAddress> to);

struct ReceiveOptions {
  bool keep = false;
  bool may_wait = true;
  // Answers the size of the whole datagram, whatever room there was.
  bool whole_size = false;
};

// The answer is the size; `from` is whom it came from.
Answer ReceiveDatagram(SystemCall& call, SocketDescriptor& socket,
                       uint64_t address, uint64_t size,
                       const ReceiveOptions& options, InternetAddress& from);

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_DATAGRAMS_H_
