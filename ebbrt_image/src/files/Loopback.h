// The addresses that lead back into the UC. Each UC has its own: the other ends
// are looked for among its descriptors and nowhere else.
#ifndef EBBRT_FILES_LOOPBACK_H_
#define EBBRT_FILES_LOOPBACK_H_

#include "files/DescriptorTable.h"
#include "files/SocketDescriptor.h"

namespace ebbrt::loopback {

constexpr std::uint32_t kHost = 0x7f000001;

// Those of the network 127, and the unnamed one.
constexpr bool IsWithin(std::uint32_t host) {
  return host == 0 || host >> 24 == 127;
}

// The unnamed address means kHost to those who send there.
constexpr InternetAddress Target(InternetAddress address) {
  return {address.host ? address.host : kHost, address.port};
}

// Whether what was bound to `bound` is meant by `address`.
constexpr bool Matches(InternetAddress bound, InternetAddress address) {
  return bound.port == address.port &&
         (bound.host == address.host || bound.host == 0);
}

// What a socket of the type gets that asks for `wanted`; port 0 is a free one.
// kAddressInUse, kAddressNotAvailable.
Result<InternetAddress> Claim(const DescriptorTable& table, SocketType type,
                              InternetAddress wanted);

// visit(socket) for each socket of the type until it says true.
template <class Visit>
void FindSocket(const DescriptorTable& table, SocketType type, Visit visit) {
  bool found = false;
  table.ForEach([&](int, Descriptor& descriptor) {
    if (found || descriptor.kind() != Descriptor::Kind::kSocket)
      return;
    auto& socket = static_cast<SocketDescriptor&>(descriptor);
    found = socket.internet() && socket.type() == type && visit(socket);
  });
}

}  // namespace ebbrt::loopback

#endif  // EBBRT_FILES_LOOPBACK_H_
