// Checks that end the kernel. They are for the kernel's own mistakes only;
// what a UC or the host does wrong is answered with an error instead.
//
//   kassert(condition)                 dropped when NDEBUG is defined
//   kbugon(condition, "why %d", n)     always checked; the message is optional
//   kabort("why %d", n)                unconditional
#ifndef EBBRT_LIB_ASSERT_H_
#define EBBRT_LIB_ASSERT_H_

namespace ebbrt {

// Reports and stops. `expression` is null for kabort. The guest and the host
// tests each define it for themselves.
[[noreturn]] void AbortAt(const char* file, int line, const char* expression,
                          const char* format, ...)
    __attribute__((format(printf, 4, 5), cold));

}  // namespace ebbrt

// The leading space lets a message be left out without a zero-length format.
#define kabort(...)                                                            \
  ::ebbrt::AbortAt(__FILE__, __LINE__, nullptr, " " __VA_ARGS__)

#define kbugon(condition, ...)                                                 \
  do {                                                                         \
    if (condition) [[unlikely]]                                                \
      ::ebbrt::AbortAt(__FILE__, __LINE__, #condition, " " __VA_ARGS__);       \
  } while (false)

#ifdef NDEBUG
#define kassert(condition) static_cast<void>(sizeof(!(condition)))
#else
#define kassert(condition)                                                     \
  do {                                                                         \
    if (!(condition)) [[unlikely]]                                             \
      ::ebbrt::AbortAt(__FILE__, __LINE__, #condition, " assertion failed");   \
  } while (false)
#endif

#endif  // EBBRT_LIB_ASSERT_H_
