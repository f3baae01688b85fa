// Strong types for physical memory: frame numbers and addresses do not mix with
// other integers.
#ifndef EBBRT_MM_PFN_H_
#define EBBRT_MM_PFN_H_

#include <compare>
#include <cstddef>
#include <cstdint>

namespace ebbrt {

constexpr size_t kPageShift = 12;
constexpr size_t kPageSize = size_t{1} << kPageShift;

// Number of a physical 4 KiB frame.
class Pfn {
 public:
  constexpr Pfn() = default;
  constexpr explicit Pfn(uint64_t number) : number_(number) {}
  static constexpr Pfn Down(uint64_t address) {
    return Pfn(address >> kPageShift);
  }
  static constexpr Pfn Up(uint64_t address) {
    return Pfn((address + kPageSize - 1) >> kPageShift);
  }
  static constexpr Pfn None() { return Pfn(); }

  constexpr uint64_t number() const { return number_; }
  constexpr uint64_t address() const { return number_ << kPageShift; }
  constexpr bool valid() const { return number_ != kNone; }
  constexpr auto operator<=>(const Pfn&) const = default;
  constexpr Pfn operator+(uint64_t count) const { return Pfn(number_ + count); }

 private:
  static constexpr uint64_t kNone = ~uint64_t{0};
  uint64_t number_ = kNone;
};

constexpr uint64_t PageDown(uint64_t address) {
  return address & ~(kPageSize - 1);
}

constexpr uint64_t PageUp(uint64_t address) {
  return PageDown(address + kPageSize - 1);
}

}  // namespace ebbrt

#endif  // EBBRT_MM_PFN_H_
