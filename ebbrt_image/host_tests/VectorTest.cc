#include "lib/Vector.h"

#include <memory>

#include <gtest/gtest.h>

namespace {

using ebbrt::Vector;

TEST(Vector, GrowsAndKeepsMoveOnlyElements) {
  Vector<std::unique_ptr<int>> vector;
  for (int i = 0; i < 100; ++i)
    vector.PushBack(std::make_unique<int>(i));
  ASSERT_EQ(vector.size(), 100u);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(*vector[i], i);
  EXPECT_EQ(*vector.PopBack(), 99);
  EXPECT_EQ(vector.size(), 99u);
}

TEST(Vector, PushBackOfOwnElementWhileGrowing) {
  Vector<int> vector;
  vector.PushBack(7);
  for (int i = 0; i < 50; ++i)
    vector.PushBack(vector[0]);
  for (auto value : vector)
    EXPECT_EQ(value, 7);
}

TEST(Vector, InsertAndErase) {
  Vector<int> vector;
  for (int value : {1, 2, 4})
    vector.PushBack(value);
  vector.Insert(2, 3);
  vector.Insert(0, 0);
  vector.Erase(1);
  ASSERT_EQ(vector.size(), 4u);
  for (int i = 0; auto expected : {0, 2, 3, 4})
    EXPECT_EQ(vector[i++], expected);
  vector.EraseUnordered(0);
  EXPECT_EQ(vector[0], 4);
  vector.EraseUnordered(2);
  EXPECT_EQ(vector.size(), 2u);
}

TEST(Vector, ResizeDestroysAndZeroes) {
  auto shared = std::make_shared<int>(1);
  Vector<std::shared_ptr<int>> vector;
  vector.PushBack(shared);
  vector.PushBack(shared);
  vector.Resize(1);
  EXPECT_EQ(shared.use_count(), 2);
  vector.Resize(3);
  EXPECT_EQ(vector[2], nullptr);
  auto moved = std::move(vector);
  EXPECT_EQ(vector.size(), 0u);
  EXPECT_EQ(shared.use_count(), 2);
  moved.Clear();
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(VectorDeathTest, IndexIsChecked) {
  Vector<int> vector;
  vector.PushBack(1);
  EXPECT_DEATH(vector[1], "assertion failed");
}

}  // namespace
