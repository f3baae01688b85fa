#include "Memory.h"

enum { kGarbage = 8 << 20 };

void AllowGarbage(JSRuntime* runtime) {
  JSMemoryUsage usage;
  JS_ComputeMemoryUsage(runtime, &usage);
  JS_SetGCThreshold(runtime, (size_t)usage.malloc_size + kGarbage);
}
