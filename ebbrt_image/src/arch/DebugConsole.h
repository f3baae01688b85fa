// Kernel log on QEMU's debug port, and the end of the machine.
#ifndef EBBRT_ARCH_DEBUGCONSOLE_H_
#define EBBRT_ARCH_DEBUGCONSOLE_H_

#include <cstddef>

namespace ebbrt {

[[gnu::format(printf, 1, 2)]] void kprintf(const char* format, ...);

namespace debug_console {

void Write(const char* text, size_t length);

}  // namespace debug_console

namespace power {

// QEMU's exit status is (value << 1) | 1.
constexpr unsigned char kSuccess = 0x10;
constexpr unsigned char kFailure = 0x20;

[[noreturn]] void Off(unsigned char value);

}  // namespace power

}  // namespace ebbrt

#endif  // EBBRT_ARCH_DEBUGCONSOLE_H_
