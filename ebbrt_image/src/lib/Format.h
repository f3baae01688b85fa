// A small printf: %s %d %i %u %x %X %p %c %%, the length marks h hh l ll z j t,
// the flags - 0 # and +, widths and precisions as numbers or *.
#ifndef EBBRT_LIB_FORMAT_H_
#define EBBRT_LIB_FORMAT_H_

#include <cstdarg>
#include <cstddef>
#include <span>

namespace ebbrt {

// Writes at most buffer.size() - 1 characters and a NUL, and returns how many
// characters stand before the NUL. Longer text is cut.
std::size_t FormatTo(std::span<char> buffer, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
std::size_t VFormatTo(std::span<char> buffer, const char* format,
                      std::va_list arguments)
    __attribute__((format(printf, 2, 0)));

}  // namespace ebbrt

#endif  // EBBRT_LIB_FORMAT_H_
