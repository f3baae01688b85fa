#include "Memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  kGarbage = 8 << 20,
  kHeader = 8,  // glibc's, before every block
  kStep = 16,
  kSmallest = 32,
  kLargest = 256,  // what most of a heap's blocks are smaller than
};

void AllowGarbage(JSRuntime* runtime) {
  JSMemoryUsage usage;
  JS_ComputeMemoryUsage(runtime, &usage);
  JS_SetGCThreshold(runtime, (size_t)usage.malloc_size + kGarbage);
}

void FillGaps(void) {
  malloc_trim(0);
  uintptr_t fresh = (uintptr_t)sbrk(0) - mallinfo2().keepcost;
  // From the large to the small, as a rest of one gap is another.
  for (size_t size = kLargest; size >= kSmallest; size -= kStep) {
    void* block;
    do {
      block = malloc(size - kHeader);
    } while (block && (uintptr_t)block < fresh);
  }
}
