#include "virtio/VirtioMmio.h"

#include "arch/Cpu.h"
#include "arch/Idt.h"
#include "arch/IoApic.h"
#include "boot/BootInfo.h"
#include "lib/Assert.h"
#include "mm/DirectMap.h"
#include "virtio/Virtqueue.h"

namespace {

constexpr uint32_t kMagicValue = 0x74726976;  // "virt"
constexpr uint32_t kLegacyVersion = 1;

}  // namespace

std::unique_ptr<ebbrt::VirtioMmio> ebbrt::VirtioMmio::Find(uint32_t device_id) {
  std::unique_ptr<VirtioMmio> found;
  boot_info::ForEachOption("virtio_mmio.device", [&](std::string_view value) {
    boot_info::TakeNumber(value);
    if (found || value.empty() || value.front() != '@')
      return;
    value.remove_prefix(1);
    auto address = boot_info::TakeNumber(value);
    if (value.empty() || value.front() != ':')
      return;
    value.remove_prefix(1);
    auto line = static_cast<unsigned>(boot_info::TakeNumber(value));
    VirtioMmio device(address, line);
    if (device.read(kMagic) == kMagicValue &&
        device.read(kDeviceId) == device_id)
      found.reset(new VirtioMmio(address, line));
  });
  return found;
}

ebbrt::VirtioMmio::VirtioMmio(uint64_t address, unsigned line)
    : base_(reinterpret_cast<uint64_t>(PhysicalToPointer(address))),
      line_(line), legacy_(read(kVersion) == kLegacyVersion) {}

void ebbrt::VirtioMmio::Negotiate(uint64_t wanted) {
  if (!legacy_)
    wanted |= kFeatureVersion1;
  write(kStatus, 0);
  write(kStatus, kStatusAcknowledge | kStatusDriver);
  for (uint32_t half = 0; half < 2; ++half) {
    write(kDeviceFeaturesSelect, half);
    auto offered = read(kDeviceFeatures);
    write(kDriverFeaturesSelect, half);
    write(kDriverFeatures,
          offered & static_cast<uint32_t>(wanted >> 32 * half));
  }
  if (legacy_) {
    write(kLegacyPageSize, kPageSize);
    return;
  }
  write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeatures);
  kbugon(!(read(kStatus) & kStatusFeatures),
         "virtio device refuses the features");
}

void ebbrt::VirtioMmio::SetUpQueue(unsigned index, const Virtqueue& queue) {
  write(kQueueSelect, index);
  kbugon(read(kQueueSizeMax) < Virtqueue::kSize, "virtqueue %u too short",
         index);
  write(kQueueSize, Virtqueue::kSize);
  if (legacy_) {
    write(kLegacyQueueAlign, Virtqueue::kUsedAlignment);
    write(kLegacyQueuePfn,
          static_cast<uint32_t>(Pfn::Down(queue.descriptors()).number()));
    return;
  }
  write64(kQueueDescriptors, queue.descriptors());
  write64(kQueueDriver, queue.available());
  write64(kQueueDevice, queue.used());
  write(kQueueReady, 1);
}

void ebbrt::VirtioMmio::Ready() {
  write(kStatus, kStatusAcknowledge | kStatusDriver | kStatusReady |
                     (legacy_ ? 0 : kStatusFeatures));
}

void ebbrt::VirtioMmio::SetHandler(MovableFunction<void()> handler) {
  handler_ = std::move(handler);
  auto vector = idt::AllocateVector([this] {
    write(kInterruptAcknowledge, read(kInterruptStatus));
    handler_();
  });
  io_apic::Route(line_, vector, cpu::Current().apic_id,
                 io_apic::Trigger::kEdge);
}
