// The identity of an Ebb: one object, many representatives.
#ifndef EBBRT_EBB_EBBID_H_
#define EBBRT_EBB_EBBID_H_

#include <compare>
#include <cstdint>

namespace ebbrt {

class EbbId {
 public:
  constexpr explicit EbbId(uint32_t number) : number_(number) {}
  constexpr uint32_t number() const { return number_; }
  constexpr auto operator<=>(const EbbId&) const = default;

 private:
  uint32_t number_;
};

}  // namespace ebbrt

#endif  // EBBRT_EBB_EBBID_H_
