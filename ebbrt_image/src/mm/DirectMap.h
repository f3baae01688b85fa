// All RAM is mapped at one offset, so a frame's bytes are always at hand.
#ifndef EBBRT_MM_DIRECTMAP_H_
#define EBBRT_MM_DIRECTMAP_H_

#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt {

constexpr uint64_t kDirectMapBase = 0xFFFF800000000000;
constexpr uint64_t kKernelBase = 0xFFFFFFFF80000000;

template <class T = void> T* ToPointer(Pfn pfn) {
  return reinterpret_cast<T*>(kDirectMapBase + pfn.address());
}

inline void* PhysicalToPointer(uint64_t address) {
  return reinterpret_cast<void*>(kDirectMapBase + address);
}

// The physical address behind a pointer into the direct map or kernel image.
inline uint64_t ToPhysical(const void* pointer) {
  auto address = reinterpret_cast<uint64_t>(pointer);
  return address >= kKernelBase ? address - kKernelBase
                                : address - kDirectMapBase;
}

inline Pfn ToPfn(const void* pointer) {
  return Pfn::Down(ToPhysical(pointer));
}

}  // namespace ebbrt

#endif  // EBBRT_MM_DIRECTMAP_H_
