#include "lib/Crc32.h"

#include <string_view>

#include <gtest/gtest.h>

namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Crc32, KnownValues) {
  EXPECT_EQ(ebbrt::Crc32({}), 0u);
  EXPECT_EQ(ebbrt::Crc32(bytes("123456789")), 0xcbf43926u);
}

TEST(Crc32, ContinuesFromASeed) {
  auto first = ebbrt::Crc32(bytes("1234"));
  EXPECT_EQ(ebbrt::Crc32(bytes("56789"), first), 0xcbf43926u);
}

}  // namespace
