#include "personality/Datagrams.h"

#include <algorithm>

#include "files/DatagramSocket.h"

ebbrt::SocketDescriptor* ebbrt::AsDatagramSocket(Descriptor& descriptor) {
  if (descriptor.kind() != Descriptor::Kind::kSocket)
    return nullptr;
  auto& socket = static_cast<SocketDescriptor&>(descriptor);
  return socket.type() == SocketType::kDatagram ? &socket : nullptr;
}

ebbrt::Answer ebbrt::SendDatagram(SystemCall& call, SocketDescriptor& socket,
                                  std::span<const UserBytes> parts,
                                  std::optional<InternetAddress> to) {
  auto size = TotalSize(parts);
  if (size > DatagramSocket::kMaxSize)
    return Errno::kMessageTooLong;
  // Once here, and once where it waits.
  if (!call.MayBuffer(socket, 2 * size))
    return Errno::kNoMemory;
  Vector<std::byte> bytes;
  bytes.Resize(size);
  if (auto gathered = Gather(call, parts, bytes); !gathered)
    return gathered.error();
  auto sent = socket.SendTo(bytes, to);
  call.uc().DescriptorsChanged();
  return sent ? Answer(*sent) : Answer(sent.error());
}

ebbrt::Answer ebbrt::ReceiveDatagram(SystemCall& call, SocketDescriptor& socket,
                                     std::span<const UserBytes> parts,
                                     const ReceiveOptions& options,
                                     Received& received) {
  return call.Wait(options.may_wait && !socket.non_blocking(), kNever,
                   [&]() -> Answer {
                     auto datagram = socket.Receive(options.keep);
                     if (!datagram)
                       return datagram.error();
                     call.uc().DescriptorsChanged();
                     received.from = datagram->from;
                     const auto whole = datagram->bytes.size();
                     auto given = Scatter(call, parts, datagram->bytes);
                     if (!given)
                       return given.error();
                     received.cut = *given < whole;
                     return options.whole_size ? whole : *given;
                   });
}
