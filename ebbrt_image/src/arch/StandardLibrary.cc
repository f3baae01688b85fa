// What the header-only parts of libstdc++ call when they are misused.

#include "lib/Assert.h"

extern "C" void __cxa_pure_virtual() {
  kabort("pure virtual call");
}

namespace std {

void __throw_out_of_range_fmt(const char* format, ...) {
  kabort("out of range: %s", format);
}

}  // namespace std
