// Exceptions taken in the kernel, and the report that ends it.
#ifndef EBBRT_ARCH_EXCEPTION_H_
#define EBBRT_ARCH_EXCEPTION_H_

#include "arch/TrapFrame.h"

namespace ebbrt::exception {

// Short name of an exception vector, such as "page fault".
const char* Name(uint64_t vector);

// Lets a kernel region resolve a page fault; anything else ends the machine.
void HandleInKernel(TrapFrame& frame);

// Prints registers and a backtrace with symbols, then ends QEMU with failure.
[[noreturn]] void Die(const TrapFrame& frame, const char* why);

}  // namespace ebbrt::exception

#endif  // EBBRT_ARCH_EXCEPTION_H_
