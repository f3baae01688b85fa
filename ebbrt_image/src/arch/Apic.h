// The local interrupt controller (xAPIC, by MMIO) of each core.
#ifndef EBBRT_ARCH_APIC_H_
#define EBBRT_ARCH_APIC_H_

#include <cstdint>

namespace ebbrt::apic {

// Enables the calling core's APIC.
void Init();

uint32_t Id();
void EndOfInterrupt();

void SendInterrupt(uint32_t apic_id, uint8_t vector);
void SendInit(uint32_t apic_id);
void SendStartup(uint32_t apic_id, uint8_t page);

// Raises idt::kVectorTimer once, after `nanoseconds`.
void StartTimer(uint64_t nanoseconds);

// QEMU's APIC timer, and KVM's, counts at 1 GHz before the divider.
constexpr uint64_t kTimerFrequency = 1000000000;

// A free-running count-down of that timer, for calibration only: starts it
// masked, and reads how many ns have passed.
void StartReference();
uint64_t ReadReference();

}  // namespace ebbrt::apic

#endif  // EBBRT_ARCH_APIC_H_
