#include "files/DescriptorTable.h"

#include <gtest/gtest.h>

#include "Bytes.h"
#include "files/Device.h"
#include "files/Pipe.h"

namespace {

using ebbrt::Descriptor;
using ebbrt::DescriptorTable;
using ebbrt::Errno;
using ebbrt::MakeRef;
using ebbrt::RefPtr;

RefPtr<Descriptor> Null() {
  return MakeRef<ebbrt::NullDevice>(ebbrt::abi::kOpenReadWrite);
}

TEST(DescriptorTable, TakesTheLowestFreeNumber) {
  DescriptorTable table(10);
  for (int expected : {0, 1, 2, 3})
    EXPECT_EQ(*table.Allocate(Null(), false), expected);
  EXPECT_TRUE(table.Close(1).ok());
  EXPECT_TRUE(table.Close(2).ok());
  EXPECT_EQ(*table.Allocate(Null(), false), 1);
  EXPECT_EQ(*table.Allocate(Null(), false, 3), 4);
  EXPECT_EQ(*table.Allocate(Null(), false), 2);
  EXPECT_EQ(table.open_count(), 5u);
}

TEST(DescriptorTable, HasALimit) {
  DescriptorTable table(3);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(table.Allocate(Null(), false).ok());
  EXPECT_EQ(table.Allocate(Null(), false).error(), Errno::kTooManyFiles);
  EXPECT_EQ(table.Duplicate(0, false).error(), Errno::kTooManyFiles);
  EXPECT_EQ(table.Allocate(Null(), false, 3).error(), Errno::kInvalid);
  EXPECT_EQ(table.Allocate(Null(), false, -1).error(), Errno::kInvalid);
  EXPECT_EQ(table.DuplicateTo(0, 3).error(), Errno::kBadDescriptor);
  EXPECT_EQ(table.DuplicateTo(0, -1).error(), Errno::kBadDescriptor);
}

TEST(DescriptorTable, BadNumbers) {
  DescriptorTable table(10);
  ASSERT_TRUE(table.Allocate(Null(), false).ok());
  for (int number : {-1, 1, 9, 10, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(table.Get(number).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.Close(number).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.Duplicate(number, false).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.DuplicateTo(number, 2).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.DuplicateTo(number, number).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.close_on_exec(number).error(), Errno::kBadDescriptor);
    EXPECT_EQ(table.set_close_on_exec(number, true).error(),
              Errno::kBadDescriptor);
  }
}

TEST(DescriptorTable, DuplicatesShareTheDescription) {
  DescriptorTable table(10);
  auto number = *table.Allocate(Null(), true);
  auto copy = *table.Duplicate(number, false, 5);
  EXPECT_EQ(copy, 5);
  EXPECT_EQ(*table.Get(number), *table.Get(copy));
  EXPECT_TRUE(*table.close_on_exec(number));
  EXPECT_FALSE(*table.close_on_exec(copy));
  (*table.Get(copy))->set_flags(ebbrt::abi::kOpenNonBlock);
  EXPECT_TRUE((*table.Get(number))->non_blocking());
}

TEST(DescriptorTable, DuplicateToClosesWhatWasThere) {
  DescriptorTable table(10);
  auto pipe = ebbrt::MakePipe(0);
  auto reader = *table.Allocate(std::move(pipe.reader), false);
  auto writer = *table.Allocate(std::move(pipe.writer), false);
  auto null = *table.Allocate(Null(), true);
  EXPECT_EQ(*table.DuplicateTo(null, writer, true), writer);
  EXPECT_TRUE(*table.close_on_exec(writer));
  EXPECT_EQ(ReadText(**table.Get(reader), 1), "");
  EXPECT_EQ(table.open_count(), 3u);
  EXPECT_EQ(*table.DuplicateTo(null, null), null);
  EXPECT_TRUE(*table.close_on_exec(null));
  EXPECT_EQ(table.DuplicateTo(null, null, true).error(), Errno::kInvalid);
  EXPECT_EQ(*table.DuplicateTo(null, 9), 9);
  EXPECT_FALSE(*table.close_on_exec(9));
  EXPECT_EQ(table.open_count(), 4u);
}

TEST(DescriptorTable, LastNumberClosesTheDescription) {
  DescriptorTable table(10);
  auto pipe = ebbrt::MakePipe(0);
  auto reader = *table.Allocate(std::move(pipe.reader), false);
  auto writer = *table.Allocate(std::move(pipe.writer), false);
  auto copy = *table.Duplicate(writer, false);
  ASSERT_TRUE(table.Close(writer).ok());
  EXPECT_EQ(ReadText(**table.Get(reader), 1), "error 11");
  ASSERT_TRUE(table.Close(copy).ok());
  EXPECT_EQ(ReadText(**table.Get(reader), 1), "");
}

TEST(DescriptorTable, ClosesRangesAndOnExec) {
  DescriptorTable table(20);
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(table.Allocate(Null(), i % 2 == 0).ok());
  table.CloseRange(3, 5);
  table.CloseRange(8, ~0u);
  EXPECT_EQ(table.open_count(), 5u);
  table.CloseOnExec();
  std::vector<int> left;
  table.ForEach([&](int number, Descriptor&) { left.push_back(number); });
  EXPECT_EQ(left, (std::vector{1, 7}));
  table.CloseAll();
  EXPECT_EQ(table.open_count(), 0u);
  EXPECT_EQ(*table.Allocate(Null(), false), 0);
}

}  // namespace
