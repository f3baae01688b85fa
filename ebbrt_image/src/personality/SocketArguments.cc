#include "personality/SocketArguments.h"

#include <algorithm>

namespace {

// struct sockaddr_in: numbers in the order of the wire.
struct NamedAddress {
  uint16_t family;
  uint16_t port;
  uint32_t host;
  uint8_t padding[8];
};
static_assert(sizeof(NamedAddress) == 16);

constexpr uint32_t kMaxRoom = 0x7fffffff;

}  // namespace

ebbrt::Result<ebbrt::RefPtr<ebbrt::SocketDescriptor>>
ebbrt::GetSocket(SystemCall& call) {
  auto descriptor = call.uc().descriptors().Get(call.integer(0));
  if (!descriptor)
    return descriptor.error();
  if ((*descriptor)->kind() != Descriptor::Kind::kSocket)
    return Errno::kNotSocket;
  return RefPtr<SocketDescriptor>(
      static_cast<SocketDescriptor*>(descriptor->get()));
}

ebbrt::Result<ebbrt::InternetAddress>
ebbrt::ReadAddress(SystemCall& call, uint64_t address, uint64_t size) {
  NamedAddress named;
  if (size < sizeof(named))
    return Errno::kInvalid;
  if (!call.space().Read(address, named))
    return Errno::kFault;
  if (named.family != kInternet)
    return Errno::kAddressFamily;
  return InternetAddress{__builtin_bswap32(named.host),
                         __builtin_bswap16(named.port)};
}

ebbrt::Answer ebbrt::GiveAddress(SystemCall& call, uint64_t address,
                                 uint64_t size_at,
                                 const SocketDescriptor& socket,
                                 InternetAddress value) {
  NamedAddress named = {};
  named.family = socket.internet() ? kInternet : kUnix;
  named.port = __builtin_bswap16(value.port);
  named.host = __builtin_bswap32(value.host);
  auto whole = socket.internet() ? sizeof(named) : sizeof(named.family);
  uint32_t size;
  if (!call.space().Read(size_at, size))
    return Errno::kFault;
  if (size > kMaxRoom)
    return Errno::kInvalid;
  auto bytes = std::as_bytes(std::span(&named, 1));
  if (!call.space().CopyOut(address,
                            bytes.first(std::min<size_t>(size, whole))) ||
      !call.space().Write(size_at, static_cast<uint32_t>(whole)))
    return Errno::kFault;
  return uint64_t{0};
}
