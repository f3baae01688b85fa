#include "lib/RingBuffer.h"

#include <deque>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

TEST(RingBuffer, AgreesWithDeque) {
  std::mt19937 random(3);
  constexpr std::size_t kCapacity = 3000;
  ebbrt::RingBuffer ring(kCapacity);
  std::deque<std::byte> model;
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> bytes(random() % 900);
    if (random() % 2 == 0) {
      for (auto& byte : bytes)
        byte = static_cast<std::byte>(random());
      auto count = ring.Write(bytes);
      ASSERT_EQ(count, std::min(bytes.size(), kCapacity - model.size()));
      model.insert(model.end(), bytes.begin(), bytes.begin() + count);
    } else {
      std::vector<std::byte> peeked(bytes.size());
      auto seen = ring.Peek(peeked);
      auto count = ring.Read(bytes);
      ASSERT_EQ(count, std::min(bytes.size(), model.size()));
      ASSERT_EQ(seen, count);
      ASSERT_EQ(peeked, bytes);
      ASSERT_TRUE(
          std::equal(bytes.begin(), bytes.begin() + count, model.begin()));
      model.erase(model.begin(), model.begin() + count);
    }
    ASSERT_EQ(ring.size(), model.size());
    ASSERT_EQ(ring.space(), kCapacity - model.size());
  }
}

TEST(RingBuffer, FullTakesNothing) {
  ebbrt::RingBuffer ring(3);
  std::byte bytes[5]{};
  EXPECT_EQ(ring.Write(bytes), 3u);
  EXPECT_EQ(ring.Write(bytes), 0u);
  ring.Clear();
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.Read(bytes), 0u);
}

}  // namespace
