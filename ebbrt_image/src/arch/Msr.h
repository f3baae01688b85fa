// Model-specific registers this kernel uses.
#ifndef EBBRT_ARCH_MSR_H_
#define EBBRT_ARCH_MSR_H_

#include <cstdint>

namespace ebbrt::msr {

constexpr uint32_t kApicBase = 0x1b;
constexpr uint32_t kEfer = 0xc0000080;
constexpr uint32_t kStar = 0xc0000081;
constexpr uint32_t kLstar = 0xc0000082;
constexpr uint32_t kFmask = 0xc0000084;
constexpr uint32_t kFsBase = 0xc0000100;
constexpr uint32_t kGsBase = 0xc0000101;
constexpr uint32_t kKernelGsBase = 0xc0000102;
constexpr uint32_t kKvmWallClock = 0x4b564d00;
constexpr uint32_t kKvmSystemTime = 0x4b564d01;

inline uint64_t Read(uint32_t index) {
  uint32_t low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
  return static_cast<uint64_t>(high) << 32 | low;
}

inline void Write(uint32_t index, uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(index), "a"(static_cast<uint32_t>(value)),
                 "d"(static_cast<uint32_t>(value >> 32))
               : "memory");
}

}  // namespace ebbrt::msr

#endif  // EBBRT_ARCH_MSR_H_
