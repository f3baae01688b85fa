#include "virtio/VirtioPci.h"

#include "arch/Cpu.h"
#include "arch/Idt.h"
#include "lib/Assert.h"
#include "mm/VMem.h"
#include "virtio/Virtqueue.h"

namespace {

constexpr uint16_t kVendor = 0x1af4;
// Devices of version 1 count from 0x1040; those that also speak the legacy
// interface have numbers of their own.
constexpr uint16_t kModernBase = 0x1040;
constexpr uint16_t kTransitionalNetwork = 0x1000;
constexpr uint16_t kTransitionalConsole = 0x1003;

constexpr uint8_t kVendorCapability = 0x09;
constexpr uint8_t kMsixCapability = 0x11;
constexpr uint8_t kCommonStructure = 1;
constexpr uint8_t kNotifyStructure = 2;
constexpr uint8_t kDeviceStructure = 4;
constexpr uint16_t kMsixEnable = 0x8000;
constexpr uint64_t kMessageAddress = 0xFEE00000;

// One row of the MSI-X table.
struct MsixEntry {
  uint32_t address_low;
  uint32_t address_high;
  uint32_t data;
  uint32_t control;
};
static_assert(sizeof(MsixEntry) == 16);

void Write64(volatile uint32_t (&target)[2], uint64_t value) {
  target[0] = static_cast<uint32_t>(value);
  target[1] = static_cast<uint32_t>(value >> 32);
}

}  // namespace

std::unique_ptr<ebbrt::VirtioPci> ebbrt::VirtioPci::Find(uint32_t device_id) {
  std::unique_ptr<VirtioPci> found;
  PciDevice::ForEach([&](PciDevice& device) {
    auto transitional =
        device_id == kConsole ? kTransitionalConsole : kTransitionalNetwork;
    if (device.vendor() != kVendor ||
        (device.device() != kModernBase + device_id &&
         device.device() != transitional))
      return false;
    std::unique_ptr<VirtioPci> candidate(new VirtioPci(device));
    if (!candidate->map_structures())
      return false;
    found = std::move(candidate);
    return true;
  });
  return found;
}

bool ebbrt::VirtioPci::map_structures() {
  device_.EnableMemoryAndBusMaster();
  device_.ForEachCapability(kVendorCapability, [this](unsigned at) {
    auto type = device_.Read8(at + 3);
    auto bar = device_.Read8(at + 4);
    auto offset = device_.Read32(at + 8);
    auto length = device_.Read32(at + 12);
    if (type == kCommonStructure && !common_) {
      common_ = static_cast<Common*>(map(bar, offset, length));
    } else if (type == kNotifyStructure && !notify_) {
      notify_ = static_cast<uint8_t*>(map(bar, offset, length));
      notify_multiplier_ = device_.Read32(at + 16);
    } else if (type == kDeviceStructure && !configuration_) {
      configuration_ = static_cast<uint8_t*>(map(bar, offset, length));
    }
    return false;
  });
  return common_ && notify_ && configuration_;
}

void* ebbrt::VirtioPci::map(unsigned bar, uint32_t offset, uint32_t length) {
  auto base = device_.BaseAddress(bar);
  return base ? vmem::MapDevice(base + offset, length) : nullptr;
}

void ebbrt::VirtioPci::Negotiate(uint64_t wanted) {
  wanted |= kFeatureVersion1;
  common_->status = 0;
  common_->status = kStatusAcknowledge | kStatusDriver;
  for (uint32_t half = 0; half < 2; ++half) {
    common_->device_feature_select = half;
    auto offered = common_->device_feature;
    common_->driver_feature_select = half;
    common_->driver_feature =
        offered & static_cast<uint32_t>(wanted >> 32 * half);
  }
  common_->status = kStatusAcknowledge | kStatusDriver | kStatusFeatures;
  kbugon(!(common_->status & kStatusFeatures),
         "virtio device refuses the features");
}

void ebbrt::VirtioPci::SetUpQueue(unsigned index, const Virtqueue& queue) {
  kassert(index < kMaxQueues);
  common_->queue_select = static_cast<uint16_t>(index);
  kbugon(common_->queue_size < Virtqueue::kSize, "virtqueue %u too short",
         index);
  common_->queue_size = Virtqueue::kSize;
  common_->queue_vector = 0;
  notify_offsets_[index] = common_->queue_notify_offset * notify_multiplier_;
  Write64(common_->queue_descriptors, queue.descriptors());
  Write64(common_->queue_driver, queue.available());
  Write64(common_->queue_device, queue.used());
  common_->queue_enable = 1;
}

void ebbrt::VirtioPci::SetHandler(MovableFunction<void()> handler) {
  auto vector = idt::AllocateVector(std::move(handler));
  device_.ForEachCapability(kMsixCapability, [&](unsigned at) {
    auto table = device_.Read32(at + 4);
    auto* entry = static_cast<volatile MsixEntry*>(
        map(table & 7, table & ~7u, sizeof(MsixEntry)));
    kbugon(!entry, "MSI-X table is not in memory");
    entry->address_low =
        static_cast<uint32_t>(kMessageAddress | cpu::Current().apic_id << 12);
    entry->address_high = 0;
    entry->data = vector;
    entry->control = 0;
    device_.Write16(at + 2, kMsixEnable);
    return true;
  });
}

void ebbrt::VirtioPci::Ready() {
  common_->status =
      kStatusAcknowledge | kStatusDriver | kStatusFeatures | kStatusReady;
}

void ebbrt::VirtioPci::Notify(unsigned queue) {
  *reinterpret_cast<volatile uint16_t*>(notify_ + notify_offsets_[queue]) =
      static_cast<uint16_t>(queue);
}
