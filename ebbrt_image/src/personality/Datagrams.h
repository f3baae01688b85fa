// Datagrams between the UC's memory and a socket, each as one whatever parts
// and pages it lies on.
#ifndef EBBRT_PERSONALITY_DATAGRAMS_H_
#define EBBRT_PERSONALITY_DATAGRAMS_H_

#include <optional>

#include "files/SocketDescriptor.h"
#include "personality/IoVectors.h"

namespace ebbrt {

// Null for all that has no datagrams.
SocketDescriptor* AsDatagramSocket(Descriptor& descriptor);

// Without an address: to whom the socket is connected.
Answer SendDatagram(SystemCall& call, SocketDescriptor& socket,
                    std::span<const UserBytes> parts,
                    std::optional<InternetAddress> to);

struct ReceiveOptions {
  bool keep = false;
  bool may_wait = true;
  // Answers the size of the whole datagram, whatever room there was.
  bool whole_size = false;
};

struct Received {
  std::optional<InternetAddress> from;
  // There was no room for all of a datagram.
  bool cut = false;
};

// The answer is the size.
Answer ReceiveDatagram(SystemCall& call, SocketDescriptor& socket,
                       std::span<const UserBytes> parts,
                       const ReceiveOptions& options, Received& received);

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_DATAGRAMS_H_
