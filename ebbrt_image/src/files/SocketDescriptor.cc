#include "files/SocketDescriptor.h"

#include "files/StateBuffer.h"
#include "files/StateCursor.h"

void ebbrt::SaveAddress(InternetAddress address, StateBuffer& body) {
  body.Add32(address.host);
  body.Add16(address.port);
}

ebbrt::InternetAddress ebbrt::LoadAddress(StateCursor& body) {
  auto host = body.Take32();
  return {host, body.Take16()};
}

ebbrt::Result<void> ebbrt::SocketDescriptor::GetStat(abi::Stat& stat) const {
  constexpr std::uint32_t kPermissions = 0777;
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.mode = abi::kModeSocket | kPermissions;
  stat.links = 1;
  stat.block_size = kBlockSize;
  return {};
}
