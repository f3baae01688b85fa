// CPUID queries for the features the kernel can use.
#ifndef EBBRT_ARCH_CPUID_H_
#define EBBRT_ARCH_CPUID_H_

#include <cstdint>

namespace ebbrt::cpuid {

struct Leaf {
  uint32_t eax, ebx, ecx, edx;
};

inline Leaf Query(uint32_t leaf, uint32_t subleaf = 0) {
  Leaf r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}

inline bool HasRdrand() {
  return Query(1).ecx & (1u << 30);
}
inline bool HasHypervisor() {
  return Query(1).ecx & (1u << 31);
}

inline bool HasSmep() {
  return Query(0).eax >= 7 && (Query(7).ebx & (1u << 7));
}

inline bool HasSmap() {
  return Query(0).eax >= 7 && (Query(7).ebx & (1u << 20));
}

inline bool HasUmip() {
  return Query(0).eax >= 7 && (Query(7).ecx & (1u << 2));
}

// KVM announces its paravirtual leaves by the signature "KVMKVMKVM\0\0\0".
inline bool HasKvmClock() {
  if (!HasHypervisor())
    return false;
  auto sig = Query(0x40000000);
  if (sig.ebx != 0x4b4d564b || sig.ecx != 0x564b4d56 || sig.edx != 0x4d)
    return false;
  return Query(0x40000001).eax & (1u << 3);
}

}  // namespace ebbrt::cpuid

#endif  // EBBRT_ARCH_CPUID_H_
