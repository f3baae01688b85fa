// PCI configuration space of bus 0, by the port mechanism.
#ifndef EBBRT_ARCH_PCI_H_
#define EBBRT_ARCH_PCI_H_

#include <cstdint>

namespace ebbrt {

class PciDevice {
 public:
  // visit(device) for each function 0 on bus 0, until it returns true.
  template <class Visit> static void ForEach(Visit visit) {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      PciDevice device(slot);
      if (device.Read16(kVendor) != kNoVendor && visit(device))
        return;
    }
  }

  uint16_t vendor() const { return Read16(kVendor); }
  uint16_t device() const { return Read16(kDevice); }

  uint8_t Read8(unsigned offset) const;
  uint16_t Read16(unsigned offset) const;
  uint32_t Read32(unsigned offset) const;
  void Write16(unsigned offset, uint16_t value);

  void EnableMemoryAndBusMaster();

  // visit(offset) for each capability with this id, until it returns true.
  template <class Visit> void ForEachCapability(uint8_t id, Visit visit) const {
    unsigned left = kMaxCapabilities;
    for (auto at = Read8(kCapabilities) & ~3u; at != 0 && left > 0;
         at = Read8(at + 1) & ~3u, --left)
      if (Read8(at) == id && visit(at))
        return;
  }

  // The physical address in a memory base register; 0 if it is none.
  uint64_t BaseAddress(unsigned index) const;

 private:
  static constexpr unsigned kSlots = 32;
  static constexpr unsigned kMaxCapabilities = 48;
  static constexpr uint16_t kNoVendor = 0xFFFF;
  static constexpr unsigned kVendor = 0x00;
  static constexpr unsigned kDevice = 0x02;
  static constexpr unsigned kCommand = 0x04;
  static constexpr unsigned kBase = 0x10;
  static constexpr unsigned kCapabilities = 0x34;

  explicit PciDevice(unsigned slot) : slot_(slot) {}

  unsigned slot_;
};

}  // namespace ebbrt

#endif  // EBBRT_ARCH_PCI_H_
