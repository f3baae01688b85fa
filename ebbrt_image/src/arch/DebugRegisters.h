// One breakpoint on execution, for ring 3.
#ifndef EBBRT_ARCH_DEBUGREGISTERS_H_
#define EBBRT_ARCH_DEBUGREGISTERS_H_

#include <cstdint>

namespace ebbrt::debug_registers {

constexpr uint64_t kHitFirst = 1;
constexpr uint64_t kEnableFirst = 1 << 0;  // local, execution, one byte

// Address 0 arms nothing.
inline void Arm(uint64_t address) {
  uint64_t control = address ? kEnableFirst : 0;
  asm volatile("movq %0, %%dr0" : : "r"(address));
  asm volatile("movq %0, %%dr7" : : "r"(control));
}

// True if the breakpoint was hit since the last look.
inline bool TakeHit() {
  uint64_t status;
  asm volatile("movq %%dr6, %0" : "=r"(status));
  asm volatile("movq %0, %%dr6" : : "r"(uint64_t{0}));
  return (status & kHitFirst) != 0;
}

}  // namespace ebbrt::debug_registers

#endif  // EBBRT_ARCH_DEBUGREGISTERS_H_
