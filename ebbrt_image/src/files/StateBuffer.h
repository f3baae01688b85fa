// Bytes to which little-endian numbers are added.
#ifndef EBBRT_FILES_STATEBUFFER_H_
#define EBBRT_FILES_STATEBUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/Vector.h"

namespace ebbrt {

class StateBuffer {
 public:
  std::span<const std::byte> bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  void Clear() { bytes_.Clear(); }

  void Add8(std::uint8_t value) { bytes_.PushBack(std::byte{value}); }
  void Add16(std::uint16_t value) { add(value, sizeof(value)); }
  void Add32(std::uint32_t value) { add(value, sizeof(value)); }
  void Add64(std::uint64_t value) { add(value, sizeof(value)); }
  void AddBytes(std::span<const std::byte> bytes) {
    for (auto byte : bytes)
      bytes_.PushBack(byte);
  }
  // A count that is known later: returns where it is to be set.
  std::size_t AddCount() {
    Add32(0);
    return bytes_.size() - sizeof(std::uint32_t);
  }
  void SetCount(std::size_t at, std::uint32_t count) {
    for (std::size_t i = 0; i < sizeof(count); ++i)
      bytes_[at + i] = static_cast<std::byte>(count >> 8 * i);
  }
  // At most 65535 bytes, with their number before them.
  void AddText(std::string_view text) {
    Add16(static_cast<std::uint16_t>(text.size()));
    AddBytes(std::as_bytes(std::span(text)));
  }

 private:
  void add(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      bytes_.PushBack(static_cast<std::byte>(value >> 8 * i));
  }

  Vector<std::byte> bytes_;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_STATEBUFFER_H_
