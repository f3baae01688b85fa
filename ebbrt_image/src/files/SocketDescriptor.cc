#include "files/SocketDescriptor.h"

ebbrt::Result<void> ebbrt::SocketDescriptor::GetStat(abi::Stat& stat) const {
  constexpr std::uint32_t kPermissions = 0777;
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.mode = abi::kModeSocket | kPermissions;
  stat.links = 1;
  stat.block_size = kBlockSize;
  return {};
}
