#include "lib/Format.h"

#include <climits>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace {

// The C library is the oracle.
#define EXPECT_SAME(...)                                                       \
  do {                                                                         \
    char ours[256];                                                            \
    char theirs[256];                                                          \
    auto size = ebbrt::FormatTo(ours, __VA_ARGS__);                            \
    auto expected = std::snprintf(theirs, sizeof(theirs), __VA_ARGS__);        \
    EXPECT_STREQ(ours, theirs);                                                \
    EXPECT_EQ(size, static_cast<std::size_t>(expected));                       \
  } while (false)

TEST(Format, Integers) {
  EXPECT_SAME("%d %d %d", 0, INT_MIN, INT_MAX);
  EXPECT_SAME("%u %lu %zu", 4000000000u, ULONG_MAX, sizeof(int));
  EXPECT_SAME("%ld %lld", LONG_MIN, LLONG_MAX);
  EXPECT_SAME("%x %X %lx %#x %#lx", 0xbeefu, 0xBEEFu, ULONG_MAX, 255u, 0ul);
  EXPECT_SAME("%hhu %hd", static_cast<unsigned char>(300 & 0xff),
              static_cast<short>(-3));
}

TEST(Format, WidthAndPadding) {
  EXPECT_SAME("[%5d] [%-5d] [%05d] [%+d]", 42, 42, -42, 42);
  EXPECT_SAME("[%08x] [%#010lx] [%16lx]", 0xabcu, 0xabcul, 0xabcul);
  EXPECT_SAME("[%10s] [%-10s] [%*d] [%*d]", "ab", "ab", 6, 1, -6, 1);
  EXPECT_SAME("[%.3d] [%6.3d] [%.0d]", 7, 7, 0);
}

TEST(Format, Text) {
  EXPECT_SAME("%s|%c|%%|%.2s|%.*s", "whole", 'x', "cut", 3, "stops here");
  const char unterminated[] = {'a', 'b', 'c'};
  EXPECT_SAME("%.*s", 3, unterminated);
  char ours[16];
  const char* volatile nothing = nullptr;
  ebbrt::FormatTo(ours, "%s", nothing);
  EXPECT_STREQ(ours, "(null)");
}

TEST(Format, Pointers) {
  int object = 0;
  EXPECT_SAME("%p", static_cast<void*>(&object));
}

TEST(Format, CutsAtTheEndOfTheBuffer) {
  char buffer[8] = "zzzzzzz";
  EXPECT_EQ(ebbrt::FormatTo(std::span(buffer, 4), "%d", 123456), 3u);
  EXPECT_STREQ(buffer, "123");
  EXPECT_EQ(buffer[4], 'z');
  EXPECT_EQ(ebbrt::FormatTo(std::span(buffer, 1), "%s", "x"), 0u);
  EXPECT_STREQ(buffer, "");
  EXPECT_EQ(ebbrt::FormatTo(std::span<char>(), "%s", "x"), 0u);
}

}  // namespace
