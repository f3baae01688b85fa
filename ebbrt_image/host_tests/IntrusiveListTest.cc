#include "lib/IntrusiveList.h"

#include <vector>

#include <gtest/gtest.h>

namespace {

struct OtherTag;
struct Item : ebbrt::IntrusiveListHook<>, ebbrt::IntrusiveListHook<OtherTag> {
  explicit Item(int v) : value(v) {}
  int value;
};
using List = ebbrt::IntrusiveList<Item>;
using OtherList = ebbrt::IntrusiveList<Item, OtherTag>;

template <class L> std::vector<int> values(const L& list) {
  std::vector<int> result;
  for (auto& item : list)
    result.push_back(item.value);
  return result;
}

TEST(IntrusiveList, KeepsOrder) {
  Item one(1), two(2), three(3), four(4);
  List list;
  list.PushBack(two);
  list.PushBack(four);
  list.PushFront(one);
  list.InsertBefore(four, three);
  EXPECT_EQ(values(list), (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(list.size(), 4u);
  list.Erase(two);
  EXPECT_EQ(values(list), (std::vector{1, 3, 4}));
  EXPECT_EQ(list.back().value, 4);
  while (auto item = list.PopFront())
    EXPECT_FALSE(item->ebbrt::IntrusiveListHook<>::linked());
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, OneElementOnTwoLists) {
  Item item(5);
  List list;
  OtherList other;
  list.PushBack(item);
  other.PushBack(item);
  list.Erase(item);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(values(other), std::vector{5});
  other.Erase(item);
}

TEST(IntrusiveListDeathTest, MisuseIsCaught) {
  List list;
  Item item(1);
  EXPECT_DEATH(list.Erase(item), "on no list");
  list.PushBack(item);
  EXPECT_DEATH(list.PushBack(item), "on a list already");
  EXPECT_DEATH(
      {
        Item brief(2);
        list.PushBack(brief);
      },
      "dies while on a list");
  list.Erase(item);
}

}  // namespace
