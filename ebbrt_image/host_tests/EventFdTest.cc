#include "files/EventFd.h"

#include <cstring>

#include <gtest/gtest.h>

namespace {

namespace abi = ebbrt::abi;
using ebbrt::Errno;
using ebbrt::EventFd;
using ebbrt::MakeRef;

ebbrt::Result<std::size_t> Add(EventFd& event, std::uint64_t count) {
  return event.Write(std::as_bytes(std::span(&count, 1)));
}

// What a read gives; 0 when it would wait, as no read gives 0.
std::uint64_t Take(EventFd& event) {
  std::uint64_t count = 0;
  auto result = event.Read(std::as_writable_bytes(std::span(&count, 1)));
  if (!result.ok()) {
    EXPECT_EQ(result.error(), Errno::kAgain);
    return 0;
  }
  EXPECT_EQ(*result, sizeof(count));
  return count;
}

TEST(EventFd, GivesAllAtOnce) {
  auto event = MakeRef<EventFd>(2, false, 0);
  EXPECT_EQ(*Add(*event, 3), 8u);
  EXPECT_EQ(Take(*event), 5u);
  EXPECT_EQ(Take(*event), 0u);
}

TEST(EventFd, SemaphoreGivesOne) {
  auto event = MakeRef<EventFd>(2, true, 0);
  EXPECT_EQ(Take(*event), 1u);
  EXPECT_EQ(Take(*event), 1u);
  EXPECT_EQ(Take(*event), 0u);
}

TEST(EventFd, Bounds) {
  auto event = MakeRef<EventFd>(0, false, 0);
  std::byte small[7];
  EXPECT_EQ(event->Read(small).error(), Errno::kInvalid);
  EXPECT_EQ(event->Write(small).error(), Errno::kInvalid);
  EXPECT_EQ(Add(*event, UINT64_MAX).error(), Errno::kInvalid);
  EXPECT_TRUE(Add(*event, UINT64_MAX - 1).ok());
  EXPECT_EQ(Add(*event, 1).error(), Errno::kAgain);
  EXPECT_TRUE(Add(*event, 0).ok());
  EXPECT_EQ(event->Ready(), abi::kPollIn | abi::kPollReadNormal);
  EXPECT_EQ(Take(*event), UINT64_MAX - 1);
  EXPECT_EQ(event->Ready(), abi::kPollOut | abi::kPollWriteNormal);
}

}  // namespace
