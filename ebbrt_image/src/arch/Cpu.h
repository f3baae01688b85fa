// Per-core data. The GS base of each core points at its Cpu, which is the first
// thing in that core's region; the Ebb translation table follows it there.
#ifndef EBBRT_ARCH_CPU_H_
#define EBBRT_ARCH_CPU_H_

#include <cstddef>
#include <cstdint>

#include "arch/Gdt.h"

namespace ebbrt {

class UcThread;

constexpr unsigned kMaxCores = 16;

struct Cpu {
  // SystemCallEntry relies on the first two.
  uint64_t kernel_stack;
  uint64_t user_stack_scratch;
  Cpu* self;
  uint32_t index;
  uint32_t apic_id;
  UcThread* current_thread;  // whose user state the core holds, or null
  UcThread* slice_owner;     // whose turn it is in ring 3, or null
  UcThread* fpu_owner;       // whose FPU registers the core holds, or null
  uint64_t root;             // CR3 as last loaded
  uint64_t breakpoint;       // in DR0, or 0
  TaskState task_state;
  Gdt gdt;
};

static_assert(offsetof(Cpu, kernel_stack) == 0);
static_assert(offsetof(Cpu, user_stack_scratch) == 8);

namespace cpu {

inline Cpu& Current() {
  Cpu* self;
  asm("movq %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(Cpu, self)));
  return *self;
}

inline unsigned Index() {
  return Current().index;
}

// For reports, which may come before the boot core has its region.
unsigned IndexOrZero();

// Number of cores that run, and one of them.
unsigned Count();
// Takes away what ring 3 may have set in RFLAGS.AC, with which the kernel would
// be let at a UC's pages. SYSCALL does that by itself.
void ClearUserAccess();
Cpu& Get(unsigned index);

// Gives the calling core its region, segments and control registers.
void Init(unsigned index, uint32_t apic_id);

inline uint64_t ReadCr2() {
  uint64_t value;
  asm volatile("movq %%cr2, %0" : "=r"(value));
  return value;
}

inline uint64_t ReadCr3() {
  uint64_t value;
  asm volatile("movq %%cr3, %0" : "=r"(value));
  return value;
}

inline void WriteCr3(uint64_t value) {
  asm volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

inline void InvalidatePage(uint64_t address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline uint64_t ReadTsc() {
  uint32_t low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return static_cast<uint64_t>(high) << 32 | low;
}

}  // namespace cpu

}  // namespace ebbrt

#endif  // EBBRT_ARCH_CPU_H_
