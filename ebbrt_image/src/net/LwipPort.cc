// What lwIP asks of the kernel.
#include "arch/Clock.h"
#include "entropy/Entropy.h"
#include "lwip/sys.h"
#include "mm/GeneralAllocator.h"
#include "mm/KernelFrames.h"

extern "C" {

// UCs make it grow, so it stops where they must.
void* NetworkAllocate(size_t size) {
  if (ebbrt::PageAllocator::UncachedFrames() <= ebbrt::kKernelReserve)
    return nullptr;
  return ebbrt::general_allocator::Allocate(size);
}

void NetworkFree(void* object) {
  ebbrt::general_allocator::Free(object);
}

uint32_t NetworkRandom() {
  uint32_t number;
  ebbrt::entropy->Read(std::as_writable_bytes(std::span(&number, 1)));
  return number;
}

// Of the C library, for what looks up network cards by name, which nobody does.
int atoi(const char*) {
  return 0;
}

int strncmp(const char* a, const char* b, size_t size) {
  for (; size > 0; ++a, ++b, --size)
    if (*a != *b || !*a)
      return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
  return 0;
}

u32_t sys_now() {
  constexpr uint64_t kMillisecond = 1000000;
  return static_cast<u32_t>(ebbrt::clock::Uptime() / kMillisecond);
}
}
