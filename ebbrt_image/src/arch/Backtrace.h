// Kernel backtraces by frame pointers, with the symbols linked into the image.
#ifndef EBBRT_ARCH_BACKTRACE_H_
#define EBBRT_ARCH_BACKTRACE_H_

#include <cstdint>

namespace ebbrt::backtrace {

struct Symbol {
  const char* name;  // null when the address is outside the kernel's text
  uint64_t offset;
};

Symbol Resolve(uint64_t address);

// One line per frame, the innermost (at rip) first.
void Print(uint64_t rip, uint64_t frame_pointer);

}  // namespace ebbrt::backtrace

#endif  // EBBRT_ARCH_BACKTRACE_H_
