#include "lib/JsonWriter.h"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace {

using ebbrt::JsonWriter;

std::string quoted(std::string_view text) {
  char buffer[256];
  JsonWriter writer(buffer);
  writer.Text(text);
  EXPECT_TRUE(writer.ok());
  return std::string(writer.view());
}

TEST(JsonWriter, WritesNestedDocuments) {
  char buffer[256];
  JsonWriter writer(buffer);
  writer.BeginObject();
  writer.Text("kind", "timeout");
  writer.Integer("low", INT64_MIN);
  writer.Unsigned("high", UINT64_MAX);
  writer.Key("list");
  writer.BeginArray();
  writer.Boolean(true);
  writer.Null();
  writer.BeginObject();
  writer.EndObject();
  writer.EndArray();
  writer.Boolean("last", false);
  writer.EndObject();
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(writer.view(),
            R"({"kind":"timeout","low":-9223372036854775808,)"
            R"("high":18446744073709551615,"list":[true,null,{}],)"
            R"("last":false})");
}

TEST(JsonWriter, EscapesText) {
  EXPECT_EQ(quoted("a\"b\\c/\n\x01\x7f"), R"("a\"b\\c/\u000a\u0001\u007f")");
  EXPECT_EQ(quoted(std::string_view("\0", 1)), R"("\u0000")");
}

TEST(JsonWriter, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(quoted("é☃🦀"), "\"é☃🦀\"");
  EXPECT_EQ(quoted("\xff"
                   "a"),
            R"("\ufffda")");
  EXPECT_EQ(quoted("\xc0\x80"), R"("\ufffd\ufffd")");
  EXPECT_EQ(quoted("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");
  EXPECT_EQ(quoted("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");
  EXPECT_EQ(quoted("\xe2\x98"), R"("\ufffd\ufffd")");
}

TEST(JsonWriter, NoticesWhenTheBufferIsFull) {
  char buffer[11] = "zzzzzzzzzz";
  JsonWriter writer(std::span(buffer, 8));
  writer.BeginObject();
  writer.Text("key", "value");
  writer.EndObject();
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(std::string_view(buffer + 8, 2), "zz");
}

}  // namespace
