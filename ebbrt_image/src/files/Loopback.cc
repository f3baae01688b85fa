#include "files/Loopback.h"

namespace {

using namespace ebbrt;

// Ports that Linux gives to who does not choose.
constexpr std::uint32_t kFirstPort = 0x8000;
constexpr std::uint32_t kPorts = 0x10000;

bool Taken(const DescriptorTable& table, SocketType type,
           InternetAddress wanted) {
  bool taken = false;
  loopback::FindSocket(table, type, [&](const SocketDescriptor& socket) {
    auto claimed = socket.claimed();
    taken = claimed && (loopback::Matches(*claimed, wanted) ||
                        loopback::Matches(wanted, *claimed));
    return taken;
  });
  return taken;
}

}  // namespace

ebbrt::Result<ebbrt::InternetAddress>
ebbrt::loopback::Claim(const DescriptorTable& table, SocketType type,
                       InternetAddress wanted) {
  if (!IsWithin(wanted.host))
    return Errno::kAddressNotAvailable;
  if (wanted.port != 0) {
    if (Taken(table, type, wanted))
      return Errno::kAddressInUse;
    return wanted;
  }
  for (auto port = kFirstPort; port < kPorts; ++port) {
    wanted.port = static_cast<std::uint16_t>(port);
    if (!Taken(table, type, wanted))
      return wanted;
  }
  return Errno::kAddressInUse;
}
