#include "mm/BuddyAllocator.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

using ebbrt::BuddyAllocator;
using ebbrt::Frame;
using ebbrt::FrameState;
using ebbrt::Pfn;

constexpr unsigned kMaxOrder = BuddyAllocator::kMaxOrder;

class BuddyAllocatorTest : public testing::Test {
 protected:
  void Start(size_t frames) {
    table_ = std::vector<Frame>(frames);
    buddy_.Init(table_.data(), frames);
  }

  // Takes everything of one order; returns how many there were.
  size_t Drain(unsigned order) {
    size_t count = 0;
    while (buddy_.Allocate(order).valid())
      ++count;
    return count;
  }

  std::vector<Frame> table_;
  BuddyAllocator buddy_;
};

TEST_F(BuddyAllocatorTest, StartsEmpty) {
  Start(64);
  EXPECT_EQ(buddy_.free_frames(), 0u);
  EXPECT_FALSE(buddy_.Allocate(0).valid());
  EXPECT_TRUE(buddy_.Check());
}

TEST_F(BuddyAllocatorTest, RangeIsCutIntoAlignedBlocks) {
  Start(4096 + 7);
  buddy_.AddRange(Pfn(3), 4096);
  EXPECT_EQ(buddy_.free_frames(), 4096u);
  EXPECT_TRUE(buddy_.Check());
  // 2048..4095 is the only aligned run of the largest size.
  auto large = buddy_.Allocate(kMaxOrder);
  EXPECT_EQ(large, Pfn(2048));
  EXPECT_FALSE(buddy_.Allocate(kMaxOrder).valid());
  EXPECT_EQ(buddy_.free_frames(), 2048u);
}

TEST_F(BuddyAllocatorTest, SplitUsesLowAddressesAndMergesBack) {
  Start(16);
  buddy_.AddRange(Pfn(0), 16);
  auto first = buddy_.Allocate(0);
  EXPECT_EQ(first, Pfn(0));
  EXPECT_EQ(buddy_.free_frames(), 15u);
  EXPECT_FALSE(buddy_.Allocate(4).valid());
  EXPECT_EQ(buddy_.Allocate(3), Pfn(8));
  buddy_.Free(Pfn(8), 3);
  buddy_.Free(first, 0);
  EXPECT_TRUE(buddy_.Check());
  EXPECT_EQ(buddy_.Allocate(4), Pfn(0));
  EXPECT_EQ(buddy_.free_frames(), 0u);
}

TEST_F(BuddyAllocatorTest, ReservedBuddyIsNeverMerged) {
  Start(16);
  buddy_.AddRange(Pfn(1), 15);
  std::vector<Pfn> frames;
  for (auto pfn = buddy_.Allocate(0); pfn.valid(); pfn = buddy_.Allocate(0))
    frames.push_back(pfn);
  EXPECT_EQ(frames.size(), 15u);
  for (auto pfn : frames)
    buddy_.Free(pfn, 0);
  EXPECT_TRUE(buddy_.Check());
  EXPECT_FALSE(buddy_.Allocate(4).valid());
  EXPECT_EQ(Drain(3), 1u);
}

TEST_F(BuddyAllocatorTest, NoMergeBeyondTheLargestOrder) {
  Start(size_t{4} << kMaxOrder);
  buddy_.AddRange(Pfn(0), size_t{4} << kMaxOrder);
  EXPECT_EQ(Drain(kMaxOrder), 4u);
  for (unsigned i = 0; i < 4; ++i)
    buddy_.Free(Pfn(i << kMaxOrder), kMaxOrder);
  EXPECT_TRUE(buddy_.Check());
  EXPECT_EQ(Drain(kMaxOrder), 4u);
}

TEST_F(BuddyAllocatorTest, LastFreedComesFirst) {
  Start(64);
  buddy_.AddRange(Pfn(0), 64);
  auto a = buddy_.Allocate(0), b = buddy_.Allocate(0), c = buddy_.Allocate(0);
  buddy_.Free(c, 0);
  EXPECT_EQ(buddy_.Allocate(0), c);
  EXPECT_NE(a, b);
}

TEST_F(BuddyAllocatorTest, RandomUseKeepsEveryInvariant) {
  constexpr size_t kFrames = 6000;
  std::mt19937 random(1);
  Start(kFrames);
  buddy_.AddRange(Pfn(5), 1000);
  buddy_.AddRange(Pfn(1100), kFrames - 1100);
  auto total = buddy_.free_frames();
  ASSERT_EQ(total, 1000u + kFrames - 1100);

  std::map<uint64_t, unsigned> used;  // first frame -> order
  size_t used_frames = 0;
  for (int step = 0; step < 20000; ++step) {
    // Phases of growing and of shrinking.
    auto allocate = random() % 100 < (step / 2000 % 2 ? 35u : 65u);
    if (allocate) {
      auto order = static_cast<unsigned>(random() % 100 < 80 ? random() % 3
                                                             : random() % 12);
      auto pfn = buddy_.Allocate(order);
      if (!pfn.valid())
        continue;
      auto first = pfn.number(), size = uint64_t{1} << order;
      ASSERT_EQ(first % size, 0u);
      ASSERT_TRUE((first >= 5 && first + size <= 1005) ||
                  (first >= 1100 && first + size <= kFrames));
      auto next = used.lower_bound(first);
      ASSERT_TRUE(next == used.end() || next->first >= first + size);
      if (next != used.begin()) {
        auto before = std::prev(next);
        ASSERT_LE(before->first + (uint64_t{1} << before->second), first);
      }
      used[first] = order;
      used_frames += size;
    } else if (!used.empty()) {
      auto at = std::next(used.begin(), random() % used.size());
      buddy_.Free(Pfn(at->first), at->second);
      used_frames -= size_t{1} << at->second;
      used.erase(at);
    }
    ASSERT_EQ(buddy_.free_frames() + used_frames, total);
    if (step % 100 == 0) {
      ASSERT_TRUE(buddy_.Check());
    }
  }
  for (auto [first, order] : used)
    buddy_.Free(Pfn(first), order);
  EXPECT_TRUE(buddy_.Check());
  EXPECT_EQ(buddy_.free_frames(), total);
  // Everything has merged: as many of the largest blocks as at the start.
  EXPECT_EQ(Drain(kMaxOrder), 1u);
}

TEST_F(BuddyAllocatorTest, DoubleFreeDies) {
  Start(16);
  buddy_.AddRange(Pfn(0), 16);
  auto a = buddy_.Allocate(0);
  buddy_.Allocate(0);
  buddy_.Free(a, 0);
  EXPECT_DEATH(buddy_.Free(a, 0), "freed twice");
}

// The first free merged the frame into a block that begins elsewhere.
TEST_F(BuddyAllocatorTest, DoubleFreeOfMergedFrameDies) {
  Start(16);
  buddy_.AddRange(Pfn(0), 16);
  auto a = buddy_.Allocate(0), b = buddy_.Allocate(0);
  buddy_.Free(a, 0);
  buddy_.Free(b, 0);
  EXPECT_DEATH(buddy_.Free(b, 0), "freed twice");
  EXPECT_DEATH(buddy_.Free(Pfn(2), 1), "freed twice");
}

TEST_F(BuddyAllocatorTest, ForeignFramesDie) {
  Start(16);
  buddy_.AddRange(Pfn(4), 8);
  EXPECT_DEATH(buddy_.Free(Pfn(16), 0), "not RAM");
  EXPECT_DEATH(buddy_.AddRange(Pfn(12), 8), "beyond the frame table");
}

TEST_F(BuddyAllocatorTest, CheckFindsDamage) {
  Start(16);
  buddy_.AddRange(Pfn(0), 16);
  auto a = buddy_.Allocate(1);
  buddy_.Allocate(1);
  buddy_.Free(a, 1);
  ASSERT_TRUE(buddy_.Check());
  table_[a.number()].state = FrameState::kUsed;
  EXPECT_FALSE(buddy_.Check());
}

}  // namespace
