#include "lib/Crc32.h"

#include <array>

namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  constexpr std::uint32_t kPolynomial = 0xedb88320;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    auto value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[byte] = value;
  }
  return table;
}

constexpr auto kTable = make_table();

}  // namespace

std::uint32_t ebbrt::Crc32(std::span<const std::byte> bytes,
                           std::uint32_t seed) {
  auto value = ~seed;
  for (auto byte : bytes)
    value = (value >> 8) ^
            kTable[(value ^ static_cast<std::uint32_t>(byte)) & 0xff];
  return ~value;
}
