// The registers of interrupted code as every entry path pushes them. A system
// call makes the same frame, so that a thread can be captured at either.
#ifndef EBBRT_ARCH_TRAPFRAME_H_
#define EBBRT_ARCH_TRAPFRAME_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt {

struct TrapFrame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
  uint64_t vector, error;
  uint64_t rip, cs, rflags, rsp, ss;

  bool from_user() const { return (cs & 3) == 3; }
};

static_assert(sizeof(TrapFrame) == 22 * 8);
static_assert(offsetof(TrapFrame, rax) == 14 * 8);
static_assert(offsetof(TrapFrame, rip) == 17 * 8);

constexpr uint64_t kVectorSystemCall = 0x100;
constexpr uint64_t kVectorPageFault = 14;

}  // namespace ebbrt

#endif  // EBBRT_ARCH_TRAPFRAME_H_
