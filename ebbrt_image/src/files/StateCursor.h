// Takes little-endian numbers off bytes that nobody vouches for. Once there is
// too little, or the caller says that something is wrong, it stays failed, and
// all that it gives is zero and empty; so only the end needs a look.
#ifndef EBBRT_FILES_STATECURSOR_H_
#define EBBRT_FILES_STATECURSOR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ebbrt {

class StateCursor {
 public:
  StateCursor() = default;
  explicit StateCursor(std::span<const std::byte> bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  // All was right, and nothing is left.
  bool complete() const { return ok_ && rest_.empty(); }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }
  // Fails when `condition` does not hold.
  void Expect(bool condition) {
    if (!condition)
      Fail();
  }

  std::uint8_t Take8() { return static_cast<std::uint8_t>(take(1)); }
  std::uint16_t Take16() { return static_cast<std::uint16_t>(take(2)); }
  std::uint32_t Take32() { return static_cast<std::uint32_t>(take(4)); }
  std::uint64_t Take64() { return take(8); }
  bool TakeBool() {
    auto value = Take8();
    Expect(value <= 1);
    return value != 0;
  }
  std::span<const std::byte> TakeBytes(std::uint64_t size) {
    if (size > rest_.size()) {
      Fail();
      return {};
    }
    auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  std::string_view TakeText() {
    auto bytes = TakeBytes(Take16());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::uint64_t take(std::size_t size) {
    std::uint64_t value = 0;
    auto bytes = TakeBytes(size);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value |= std::uint64_t{std::to_integer<std::uint8_t>(bytes[i])} << 8 * i;
    return value;
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STATECURSOR_H_
