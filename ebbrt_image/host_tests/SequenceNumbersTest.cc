#include "net/SequenceNumbers.h"

#include <gtest/gtest.h>

#include <set>

namespace {

using ebbrt::InternetAddress;
using ebbrt::SequenceNumbers;

constexpr InternetAddress kLocal{0x0a00020f, 50000};
constexpr InternetAddress kPeer{0x0a000202, 80};
constexpr SequenceNumbers::Secret kSecret{1, 2, 3, 4};

TEST(SequenceNumbersTest, GrowBetweenTheSamePorts) {
  SequenceNumbers numbers(kSecret);
  auto before = numbers.First(kLocal, kPeer, 0);
  // Over the wrap of the clock and of the numbers themselves.
  for (uint64_t now = 0; now < uint64_t{1} << 33; now += 60000) {
    auto next = numbers.First(kLocal, kPeer, static_cast<uint32_t>(now));
    EXPECT_GE(static_cast<int32_t>(next - before), 0);
    before = next;
  }
}

TEST(SequenceNumbersTest, TellNothingOfOthers) {
  std::set<uint32_t> found;
  for (uint32_t i = 0; i < 4; ++i) {
    SequenceNumbers numbers({i, 0, 0, 0});
    for (uint16_t port = 50000; port < 50016; ++port) {
      found.insert(numbers.First({kLocal.host, port}, kPeer, 0));
      found.insert(numbers.First({kLocal.host, port}, {kPeer.host, 81}, 0));
    }
  }
  EXPECT_EQ(found.size(), 128u);
}

}  // namespace
