#include "files/Device.h"

#include <algorithm>

#include "files/Place.h"
#include "files/StateReader.h"
#include "files/StateWriter.h"

void ebbrt::FillStat(DeviceNumber number, abi::Stat& stat) {
  constexpr std::uint32_t kPermissions = 0666;
  constexpr std::int64_t kBlockSize = 4096;
  stat = {};
  stat.device = kSpecialDevice;
  // Far from the numbers of the special directories.
  stat.inode = static_cast<std::uint64_t>(number);
  stat.mode = abi::kModeCharacter | kPermissions;
  stat.links = 1;
  stat.special_device = static_cast<std::uint64_t>(number);
  stat.block_size = kBlockSize;
}

ebbrt::StateKind ebbrt::Device::Save(StateWriter&, StateBuffer& body) const {
  body.Add32(static_cast<std::uint32_t>(number_));
  return StateKind::kDevice;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::Device::Load(StateReader& reader, StateCursor& body, int flags) {
  auto number = static_cast<DeviceNumber>(body.Take32());
  switch (number) {
  case DeviceNumber::kNull:
    return MakeRef<NullDevice>(flags);
  case DeviceNumber::kZero:
    return MakeRef<ZeroDevice>(flags);
  case DeviceNumber::kRandom:
  case DeviceNumber::kUrandom:
    return MakeRef<RandomDevice>(number, reader.host().random, flags);
  }
  return nullptr;
}

ebbrt::Result<std::uint64_t> ebbrt::Device::Seek(std::int64_t, int) {
  return std::uint64_t{0};
}

ebbrt::Result<void> ebbrt::Device::GetStat(abi::Stat& stat) const {
  FillStat(number_, stat);
  return {};
}

ebbrt::Result<std::size_t>
ebbrt::Device::DoWrite(std::span<const std::byte> bytes) {
  return bytes.size();
}

ebbrt::Result<std::size_t> ebbrt::Device::DoPRead(std::span<std::byte> bytes,
                                                  std::uint64_t) {
  return DoRead(bytes);
}

ebbrt::Result<std::size_t>
ebbrt::Device::DoPWrite(std::span<const std::byte> bytes, std::uint64_t) {
  return DoWrite(bytes);
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::NullDevice::DoClone(CloneMap&) const {
  return RefPtr<NullDevice>::Adopt(new NullDevice(*this));
}

ebbrt::Result<std::size_t> ebbrt::NullDevice::DoRead(std::span<std::byte>) {
  return std::size_t{0};
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::ZeroDevice::DoClone(CloneMap&) const {
  return RefPtr<ZeroDevice>::Adopt(new ZeroDevice(*this));
}

ebbrt::Result<std::size_t>
ebbrt::ZeroDevice::DoRead(std::span<std::byte> bytes) {
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  return bytes.size();
}

ebbrt::RefPtr<ebbrt::Descriptor> ebbrt::RandomDevice::DoClone(CloneMap&) const {
  return RefPtr<RandomDevice>::Adopt(new RandomDevice(*this));
}

ebbrt::Result<std::size_t>
ebbrt::RandomDevice::DoRead(std::span<std::byte> bytes) {
  fill_(bytes);
  return bytes.size();
}
