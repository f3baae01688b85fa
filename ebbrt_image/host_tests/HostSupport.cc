// What the kernel gives the units in the guest, for the host.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "lib/Assert.h"

void ebbrt::AbortAt(const char* file, int line, const char* expression,
                    const char* format, ...) {
  std::fprintf(stderr, "%s:%d: %s:", file, line,
               expression == nullptr ? "abort" : expression);
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}
