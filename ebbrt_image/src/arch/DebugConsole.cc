#include "arch/DebugConsole.h"

#include <cstdarg>

#include "arch/Port.h"
#include "arch/SpinLock.h"
#include "lib/Format.h"

namespace {

constexpr uint16_t kDebugPort = 0xe9;
constexpr uint16_t kExitPort = 0xf4;

ebbrt::SpinLock lock;

}  // namespace

void ebbrt::debug_console::Write(const char* text, size_t length) {
  LockGuard guard(lock);
  asm volatile("rep outsb"
               : "+S"(text), "+c"(length)
               : "d"(kDebugPort)
               : "memory");
}

void ebbrt::kprintf(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  auto length = VFormatTo(line, format, arguments);
  va_end(arguments);
  debug_console::Write(line, length);
}

void ebbrt::power::Off(unsigned char value) {
  port::Out32(kExitPort, value);
  for (;;)
    asm volatile("cli; hlt");
}
