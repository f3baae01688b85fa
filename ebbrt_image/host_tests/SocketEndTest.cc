#include "files/SocketEnd.h"

#include <gtest/gtest.h>

#include "Bytes.h"

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;
using ebbrt::SocketEnd;

class SocketEndTest : public testing::Test {
 protected:
  SocketEnd& first() { return static_cast<SocketEnd&>(*pair_.first); }
  SocketEnd& second() { return static_cast<SocketEnd&>(*pair_.second); }

  ebbrt::SocketPair pair_ = ebbrt::MakeSocketPair(abi::kOpenNonBlock);
};

constexpr auto kIn = abi::kPollIn | abi::kPollReadNormal;
constexpr auto kOut = abi::kPollOut | abi::kPollWriteNormal;

TEST_F(SocketEndTest, CarriesBytesBothWays) {
  EXPECT_TRUE(first().non_blocking());
  EXPECT_EQ(*first().Write(Bytes("ping")), 4u);
  EXPECT_EQ(*second().Write(Bytes("pong")), 4u);
  EXPECT_EQ(first().Ready(), kIn | kOut);
  EXPECT_EQ(ReadText(first(), 10), "pong");
  EXPECT_EQ(ReadText(second(), 10), "ping");
  EXPECT_EQ(ReadText(second(), 10), "error 11");
  EXPECT_EQ(first().Ready(), kOut);
}

TEST_F(SocketEndTest, PeekLeavesTheBytes) {
  ASSERT_TRUE(first().Write(Bytes("text")).ok());
  std::byte bytes[2];
  EXPECT_EQ(*second().Peek(bytes), 2u);
  EXPECT_EQ(Text(bytes), "te");
  EXPECT_EQ(ReadText(second(), 10), "text");
  EXPECT_EQ(second().Peek(bytes).error(), Errno::kAgain);
}

TEST_F(SocketEndTest, ShutdownForWriting) {
  ASSERT_TRUE(first().Write(Bytes("last")).ok());
  ASSERT_TRUE(first().Shutdown(abi::kShutdownWrite).ok());
  EXPECT_EQ(first().Write(Bytes("x")).error(), Errno::kBrokenPipe);
  EXPECT_EQ(ReadText(second(), 10), "last");
  EXPECT_EQ(ReadText(second(), 10), "");
  EXPECT_EQ(second().Ready(), kIn | kOut | abi::kPollReadHangUp);
  // The other direction goes on.
  EXPECT_EQ(*second().Write(Bytes("back")), 4u);
  EXPECT_EQ(ReadText(first(), 10), "back");
  EXPECT_EQ(ReadText(first(), 10), "error 11");
}

TEST_F(SocketEndTest, ShutdownForReading) {
  ASSERT_TRUE(second().Write(Bytes("rest")).ok());
  ASSERT_TRUE(first().Shutdown(abi::kShutdownRead).ok());
  EXPECT_EQ(ReadText(first(), 10), "rest");
  EXPECT_EQ(ReadText(first(), 10), "");
  EXPECT_EQ(second().Write(Bytes("x")).error(), Errno::kBrokenPipe);
  EXPECT_EQ(*first().Write(Bytes("still")), 5u);
}

TEST_F(SocketEndTest, ShutdownOfBothHangsUp) {
  ASSERT_TRUE(first().Shutdown(abi::kShutdownBoth).ok());
  EXPECT_NE(first().Ready() & abi::kPollHangUp, 0u);
  EXPECT_NE(second().Ready() & abi::kPollHangUp, 0u);
  EXPECT_EQ(first().Shutdown(3).error(), Errno::kInvalid);
  EXPECT_EQ(first().Shutdown(-1).error(), Errno::kInvalid);
}

TEST_F(SocketEndTest, CloseEndsBothDirections) {
  ASSERT_TRUE(first().Write(Bytes("bye")).ok());
  pair_.first = nullptr;
  EXPECT_EQ(second().Write(Bytes("x")).error(), Errno::kBrokenPipe);
  EXPECT_EQ(ReadText(second(), 10), "bye");
  EXPECT_EQ(ReadText(second(), 10), "");
  EXPECT_NE(second().Ready() & abi::kPollHangUp, 0u);
}

TEST_F(SocketEndTest, IsASocketToStat) {
  abi::Stat stat;
  ASSERT_TRUE(first().GetStat(stat).ok());
  EXPECT_EQ(stat.mode & abi::kModeTypeMask, abi::kModeSocket);
}

}  // namespace
