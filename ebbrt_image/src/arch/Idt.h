// Interrupt descriptor table, shared by all cores, and the vectors in use.
#ifndef EBBRT_ARCH_IDT_H_
#define EBBRT_ARCH_IDT_H_

#include <cstdint>

#include "event/MovableFunction.h"

namespace ebbrt::idt {

constexpr uint8_t kVectorRemoteWork = 32;
constexpr uint8_t kVectorTimer = 33;
constexpr uint8_t kVectorFirstDevice = 34;
constexpr uint8_t kVectorSpurious = 255;

// Stacks of the interrupt stack table: each fatal class has its own.
constexpr unsigned kStackNmi = 1;
constexpr unsigned kStackDoubleFault = 2;
constexpr unsigned kStackMachineCheck = 3;

void Init();
void Load();

// Gives out a device vector. The handler runs with interrupts off on whatever
// stack was interrupted, and must not block.
uint8_t AllocateVector(MovableFunction<void()> handler);

}  // namespace ebbrt::idt

#endif  // EBBRT_ARCH_IDT_H_
