#include "arch/Pci.h"

#include "arch/Port.h"

namespace {

constexpr uint16_t kAddressPort = 0xCF8;
constexpr uint16_t kDataPort = 0xCFC;
constexpr uint32_t kEnable = 0x80000000;
constexpr uint16_t kMemoryAndBusMaster = 0x6;

constexpr uint32_t kIoSpace = 1;
constexpr uint32_t kTypeMask = 6;
constexpr uint32_t kType64 = 4;

}  // namespace

uint32_t ebbrt::PciDevice::Read32(unsigned offset) const {
  port::Out32(kAddressPort, kEnable | slot_ << 11 | (offset & ~3u));
  return port::In32(kDataPort);
}

uint16_t ebbrt::PciDevice::Read16(unsigned offset) const {
  return static_cast<uint16_t>(Read32(offset) >> (offset & 2) * 8);
}

uint8_t ebbrt::PciDevice::Read8(unsigned offset) const {
  return static_cast<uint8_t>(Read32(offset) >> (offset & 3) * 8);
}

void ebbrt::PciDevice::Write16(unsigned offset, uint16_t value) {
  port::Out32(kAddressPort, kEnable | slot_ << 11 | (offset & ~3u));
  port::Out16(static_cast<uint16_t>(kDataPort + (offset & 2)), value);
}

void ebbrt::PciDevice::EnableMemoryAndBusMaster() {
  Write16(kCommand, Read16(kCommand) | kMemoryAndBusMaster);
}

uint64_t ebbrt::PciDevice::BaseAddress(unsigned index) const {
  auto low = Read32(kBase + index * 4);
  if (low & kIoSpace)
    return 0;
  uint64_t address = low & ~0xFu;
  if ((low & kTypeMask) == kType64)
    address |= static_cast<uint64_t>(Read32(kBase + index * 4 + 4)) << 32;
  return address;
}
