// The I/O interrupt controller: routes device lines to cores.
#ifndef EBBRT_ARCH_IOAPIC_H_
#define EBBRT_ARCH_IOAPIC_H_

#include <cstdint>

namespace ebbrt::io_apic {

enum class Trigger { kEdge, kLevel };

void Route(unsigned line, uint8_t vector, uint32_t apic_id, Trigger trigger);

}  // namespace ebbrt::io_apic

#endif  // EBBRT_ARCH_IOAPIC_H_
