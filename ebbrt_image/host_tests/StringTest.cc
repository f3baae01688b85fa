#include "lib/String.h"

#include <cstring>

#include <gtest/gtest.h>

namespace {

using ebbrt::String;

TEST(String, AppendTruncateCompare) {
  String text("abc");
  text.Append("def");
  text.Append('g');
  EXPECT_EQ(text.view(), "abcdefg");
  EXPECT_EQ(std::strlen(text.c_str()), 7u);
  text.Truncate(2);
  EXPECT_STREQ(text.c_str(), "ab");
  EXPECT_TRUE(text == "ab");
  EXPECT_FALSE(text == String("ac"));
}

TEST(String, CopiesAreIndependent) {
  String text("one");
  String copy = text;
  copy.Append("two");
  EXPECT_EQ(text.view(), "one");
  text = copy;
  EXPECT_EQ(text.view(), "onetwo");
  auto moved = std::move(text);
  EXPECT_TRUE(text.empty());
  EXPECT_STREQ(text.c_str(), "");
  EXPECT_EQ(moved.view(), "onetwo");
}

TEST(String, EmptyHasNoText) {
  String text;
  text.Append("");
  text.Truncate(0);
  EXPECT_EQ(text.size(), 0u);
  EXPECT_STREQ(text.c_str(), "");
}

}  // namespace
