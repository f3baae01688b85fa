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
                                  uint64_t address, uint64_t size,
                                  std::optional<InternetAddress> to) {
  if (size > DatagramSocket::kMaxSize)
    return Errno::kMessageTooLong;
  // Once here, and once where it waits.
  if (!call.MayBuffer(socket, 2 * size))
    return Errno::kNoMemory;
  Vector<std::byte> bytes;
  bytes.Resize(size);
  if (!call.space().CopyIn(bytes, address))
    return Errno::kFault;
  auto sent = socket.SendTo(bytes, to);
  call.uc().DescriptorsChanged();
  return sent ? Answer(*sent) : Answer(sent.error());
}

ebbrt::Answer ebbrt::ReceiveDatagram(SystemCall& call, SocketDescriptor& socket,
                                     uint64_t address, uint64_t size,
                                     const ReceiveOptions& options,
                                     InternetAddress& from) {
  return call.Wait(options.may_wait && !socket.non_blocking(), kNever,
                   [&]() -> Answer {
                     auto datagram = socket.Receive(options.keep);
                     if (!datagram)
                       return datagram.error();
                     call.uc().DescriptorsChanged();
                     from = datagram->from;
                     const auto whole = datagram->bytes.size();
                     auto count = std::min<uint64_t>(size, whole);
                     if (!call.space().CopyOut(
                             address, std::span(datagram->bytes.data(), count)))
                       return Errno::kFault;
                     return options.whole_size ? whole : count;
                   });
}
