#include "lib/HashMap.h"

#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

namespace {

using ebbrt::HashMap;

TEST(HashMap, InsertFindErase) {
  HashMap<std::unique_ptr<int>> map;
  EXPECT_EQ(map.Find(1), nullptr);
  ASSERT_NE(map.Insert(1, std::make_unique<int>(10)), nullptr);
  EXPECT_EQ(map.Insert(1, std::make_unique<int>(11)), nullptr);
  EXPECT_EQ(**map.Find(1), 10);
  EXPECT_TRUE(map.Erase(1));
  EXPECT_FALSE(map.Erase(1));
  EXPECT_TRUE(map.empty());
}

// Few keys and many erasures, so that probe runs are cut in every place.
TEST(HashMap, AgreesWithStdMap) {
  std::mt19937_64 random(7);
  HashMap<std::uint64_t> map;
  std::map<std::uint64_t, std::uint64_t> model;
  for (int i = 0; i < 200000; ++i) {
    auto key = (random() % 96) << (random() % 2 * 40);
    if (random() % 2 == 0) {
      auto value = random();
      EXPECT_EQ(map.Insert(key, value) != nullptr,
                model.emplace(key, value).second);
    } else {
      EXPECT_EQ(map.Erase(key), model.erase(key) == 1);
    }
    ASSERT_EQ(map.size(), model.size());
    auto probe = (random() % 96) << (random() % 2 * 40);
    auto found = map.Find(probe);
    auto expected = model.find(probe);
    ASSERT_EQ(found != nullptr, expected != model.end());
    if (found != nullptr) {
      ASSERT_EQ(*found, expected->second);
    }
  }
  std::size_t visited = 0;
  map.ForEach([&](std::uint64_t key, std::uint64_t& value) {
    ++visited;
    EXPECT_EQ(model.at(key), value);
  });
  EXPECT_EQ(visited, model.size());
}

TEST(HashMap, MoveAndClearDestroyOnce) {
  auto shared = std::make_shared<int>(1);
  HashMap<std::shared_ptr<int>> map;
  for (std::uint64_t key = 0; key < 20; ++key)
    map.Insert(key, shared);
  EXPECT_EQ(shared.use_count(), 21);
  auto moved = std::move(map);
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(shared.use_count(), 21);
  moved.Clear();
  EXPECT_EQ(shared.use_count(), 1);
}

}  // namespace
