#include "mm/PageTableTree.h"

#include <vector>

#include <gtest/gtest.h>

#include "HostPageTables.h"

namespace {

using ebbrt::EntrySpan;
using ebbrt::kPageSize;
using ebbrt::kTableEntries;
using ebbrt::Pfn;
using namespace ebbrt::test;

class PageTableTreeTest : public PageTableTest {};

// Frames that a call of `act` allocates.
template <class Act> size_t Cost(Act act) {
  auto before = HostFrames::allocated;
  act();
  return HostFrames::allocated - before;
}

constexpr uint64_t kBase = 0x400000;

TEST_F(PageTableTreeTest, EmptyTreeMapsNothing) {
  Space space;
  EXPECT_FALSE(space.tree().Find(kBase).present());
  EXPECT_FALSE(space.tree().Owned(kBase));
  EXPECT_EQ(space.tree().OwnedTables(), 1u);
  EXPECT_TRUE(space.tree().Unmap(0, Tree::kUserEnd));
  EXPECT_EQ(HostFrames::frames.size(), 1u);
}

TEST_F(PageTableTreeTest, OwnMakesOnePath) {
  Space space;
  EXPECT_EQ(Cost([&] { EXPECT_NE(space.tree().Own(kBase), nullptr); }), 3u);
  EXPECT_EQ(Cost([&] { space.tree().Own(kBase + kPageSize); }), 0u);
  EXPECT_EQ(Cost([&] { space.tree().Own(kBase + EntrySpan(2)); }), 1u);
  EXPECT_EQ(Cost([&] { space.tree().Own(kBase + EntrySpan(3)); }), 2u);
  EXPECT_EQ(Cost([&] { space.tree().Own(kBase + EntrySpan(4)); }), 3u);
  EXPECT_TRUE(space.tree().Owned(kBase));
  EXPECT_EQ(space.tree().OwnedTables(), 10u);
  EXPECT_EQ(space.tree().tables(), 9u);
  // The last page of the user half as well.
  EXPECT_EQ(Cost([&] { space.tree().Own(Tree::kUserEnd - kPageSize); }), 3u);
  EXPECT_EQ(space.tree().tables(), 12u);
  EXPECT_TRUE(space.tree().Unmap(0, EntrySpan(4)));
  EXPECT_EQ(space.tree().tables(), 6u);
  Space child;
  space.tree().Share(child.tree());
  EXPECT_EQ(space.tree().tables(), 0u);
  EXPECT_NE(child.tree().Own(Tree::kUserEnd - kPageSize), nullptr);
  EXPECT_EQ(child.tree().tables(), 3u);
}

TEST_F(PageTableTreeTest, DeployCostsOnlyTheRoot) {
  Space parent;
  for (uint64_t i = 0; i < 2000; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * 7 * kPageSize, i + 1));
  std::unique_ptr<Space> child;
  EXPECT_EQ(Cost([&] {
              child = std::make_unique<Space>();
              parent.tree().Share(child->tree());
            }),
            1u);
  EXPECT_EQ(parent.tree().OwnedTables(), 1u);
  EXPECT_EQ(child->tree().OwnedTables(), 1u);
  EXPECT_FALSE(parent.tree().Owned(kBase));
  EXPECT_EQ(Cost([&] {
              for (uint64_t i = 0; i < 2000; ++i) {
                ASSERT_EQ(child->Read(kBase + i * 7 * kPageSize), i + 1);
                ASSERT_EQ(parent.Read(kBase + i * 7 * kPageSize), i + 1);
              }
            }),
            0u);
}

TEST_F(PageTableTreeTest, WriteCopiesTheTouchedPathOnly) {
  Space parent, child;
  for (uint64_t i = 0; i < 64; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * kPageSize, i + 1));
  ASSERT_TRUE(parent.Write(kBase + EntrySpan(3), 100));
  parent.tree().Share(child.tree());
  // Three tables and the page; then pages only.
  EXPECT_EQ(Cost([&] { child.Write(kBase, 50); }), 4u);
  EXPECT_EQ(Cost([&] { child.Write(kBase + kPageSize, 51); }), 1u);
  EXPECT_EQ(Cost([&] { child.Write(kBase, 52); }), 0u);
  EXPECT_EQ(parent.Read(kBase), 1u);
  EXPECT_EQ(parent.Read(kBase + kPageSize), 2u);
  EXPECT_EQ(child.Read(kBase), 52u);
  EXPECT_EQ(child.Read(kBase + 2 * kPageSize), 3u);
  EXPECT_TRUE(child.tree().Owned(kBase));
  EXPECT_FALSE(child.tree().Owned(kBase + EntrySpan(3)));
  // The parent has the old tables to itself again, and the page as well.
  EXPECT_EQ(Cost([&] { parent.Write(kBase, 60); }), 0u);
  EXPECT_EQ(child.Read(kBase), 52u);
  // What the child did not touch they still share.
  EXPECT_EQ(Cost([&] { parent.Write(kBase + 2 * kPageSize, 61); }), 1u);
  EXPECT_EQ(child.Read(kBase + 2 * kPageSize), 3u);
}

TEST_F(PageTableTreeTest, LastBorrowerTakesOverWithoutCopies) {
  Space child;
  {
    Space parent;
    for (uint64_t i = 0; i < 10; ++i)
      ASSERT_TRUE(parent.Write(kBase + i * kPageSize, i + 1));
    parent.tree().Share(child.tree());
  }
  EXPECT_EQ(Cost([&] {
              for (uint64_t i = 0; i < 10; ++i)
                child.Write(kBase + i * kPageSize, 20 + i);
            }),
            0u);
}

TEST_F(PageTableTreeTest, ChildOutlivesLineage) {
  Space last;
  {
    Space middle;
    {
      Space first;
      ASSERT_TRUE(first.Write(kBase, 1));
      ASSERT_TRUE(first.Write(kBase + kPageSize, 2));
      first.tree().Share(middle.tree());
      ASSERT_TRUE(middle.Write(kBase, 3));
      middle.tree().Share(last.tree());
      ASSERT_TRUE(last.Write(kBase + 2 * kPageSize, 4));
      EXPECT_EQ(first.Read(kBase), 1u);
    }
    EXPECT_EQ(middle.Read(kBase + kPageSize), 2u);
    EXPECT_EQ(middle.Read(kBase + 2 * kPageSize), 0u);
  }
  EXPECT_EQ(last.Read(kBase), 3u);
  EXPECT_EQ(last.Read(kBase + kPageSize), 2u);
  EXPECT_EQ(last.Read(kBase + 2 * kPageSize), 4u);
}

TEST_F(PageTableTreeTest, UnmapOfWholeBorrowedTablesCopiesNothing) {
  Space parent, child;
  for (uint64_t i = 0; i < 4; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * EntrySpan(2), i + 1));
  parent.tree().Share(child.tree());
  EXPECT_EQ(Cost([&] { EXPECT_TRUE(child.tree().Unmap(0, Tree::kUserEnd)); }),
            0u);
  EXPECT_EQ(child.Read(kBase), 0u);
  EXPECT_EQ(parent.Read(kBase), 1u);
  // A part needs the tables across its edges only: one PDPT, one directory.
  Space other;
  parent.tree().Share(other.tree());
  EXPECT_EQ(Cost([&] {
              EXPECT_TRUE(other.tree().Unmap(kBase, kBase + EntrySpan(2)));
            }),
            2u);
  EXPECT_EQ(other.Read(kBase), 0u);
  EXPECT_EQ(other.Read(kBase + EntrySpan(2)), 2u);
  EXPECT_EQ(parent.Read(kBase), 1u);
}

TEST_F(PageTableTreeTest, ChangeSeesPresentLeavesInOrder) {
  Space parent, child;
  const uint64_t pages[] = {kBase, kBase + kPageSize, kBase + EntrySpan(2),
                            kBase + EntrySpan(4)};
  for (auto page : pages)
    ASSERT_TRUE(parent.Write(page, page));
  parent.tree().Share(child.tree());
  std::vector<uint64_t> seen;
  EXPECT_TRUE(child.tree().Change(kBase + kPageSize, Tree::kUserEnd,
                                  [&seen](uint64_t at, Entry& entry) {
                                    seen.push_back(at);
                                    entry.Set(Entry::kNoExecute);
                                  }));
  EXPECT_EQ(seen, std::vector<uint64_t>(pages + 1, pages + 4));
  EXPECT_FALSE(child.tree().Find(kBase).flags() & Entry::kNoExecute);
  EXPECT_TRUE(child.tree().Find(pages[3]).flags() & Entry::kNoExecute);
  EXPECT_FALSE(parent.tree().Find(pages[3]).flags() & Entry::kNoExecute);
  seen.clear();
  child.tree().ForEach(0, kBase + EntrySpan(2) + 1,
                       [&seen](uint64_t at, Entry) { seen.push_back(at); });
  EXPECT_EQ(seen, std::vector<uint64_t>(pages, pages + 3));
}

TEST_F(PageTableTreeTest, WhatAChangeWillCopyIsKnownBefore) {
  Space parent, child;
  auto end = kBase + 6 * EntrySpan(2);
  for (uint64_t i = 0; i < 6; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * EntrySpan(2), i + 1));
  EXPECT_EQ(parent.tree().BorrowedTables(0, Tree::kUserEnd), 0u);
  parent.tree().Share(child.tree());
  auto expect = [&](size_t count, uint64_t from, uint64_t to) {
    EXPECT_EQ(child.tree().BorrowedTables(from, to), count);
    EXPECT_EQ(Cost([&] {
                EXPECT_TRUE(
                    child.tree().Change(from, to, [](uint64_t, Entry&) {}));
              }),
              count);
  };
  expect(2, 0, kBase);
  expect(1, kBase, kBase + kPageSize);
  expect(2, kBase + kPageSize, kBase + 2 * EntrySpan(2) + kPageSize);
  expect(3, kBase, end);
  expect(0, 0, Tree::kUserEnd);
}

TEST_F(PageTableTreeTest, OwnedLeavesAreThoseWrittenSinceSharing) {
  Space parent, child;
  for (uint64_t i = 0; i < 20; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * kPageSize, i + 1));
  auto owned = [](Space& space) {
    std::vector<uint64_t> pages;
    space.tree().ForEachOwned(0, Tree::kUserEnd, [&pages](uint64_t at, Entry) {
      pages.push_back(at);
    });
    return pages;
  };
  EXPECT_EQ(owned(parent).size(), 20u);
  parent.tree().Share(child.tree());
  EXPECT_EQ(owned(parent).size(), 0u);
  EXPECT_EQ(owned(child).size(), 0u);
  ASSERT_TRUE(child.Write(kBase + 3 * kPageSize, 50));
  ASSERT_TRUE(child.Write(kBase + EntrySpan(3), 51));
  const std::vector<uint64_t> written{kBase + 3 * kPageSize,
                                      kBase + EntrySpan(3)};
  EXPECT_EQ(owned(child), written);
}

TEST_F(PageTableTreeTest, DifferencesAreFoundInBothDirections) {
  Space parent, child;
  const uint64_t far = kBase + EntrySpan(4), farther = kBase + EntrySpan(3);
  for (uint64_t i = 0; i < 20; ++i)
    ASSERT_TRUE(parent.Write(kBase + i * kPageSize, i + 1));
  ASSERT_TRUE(parent.Write(far, 21));
  parent.tree().Share(child.tree());
  struct Found {
    uint64_t address, ours, theirs;
    bool operator==(const Found&) const = default;
  };
  auto found = [](Space& ours, Space& theirs) {
    std::vector<Found> all;
    auto value = [](Entry entry) {
      return entry.present() ? Space::Word(entry.pfn()) : 0;
    };
    ours.tree().ForEachDifference(
        theirs.tree(), [&](uint64_t at, Entry our, Entry their) {
          all.push_back({at, value(our), value(their)});
        });
    return all;
  };
  EXPECT_TRUE(found(child, parent).empty());
  // Written, copied table only, unmapped, new in a table and in none.
  ASSERT_TRUE(child.Write(kBase + 3 * kPageSize, 50));
  ASSERT_TRUE(child.tree().Unmap(kBase + 5 * kPageSize, kBase + 6 * kPageSize));
  ASSERT_TRUE(child.Write(kBase + 30 * kPageSize, 51));
  ASSERT_TRUE(child.Write(farther, 52));
  ASSERT_TRUE(child.tree().Unmap(far, far + kPageSize));
  EXPECT_EQ(found(child, parent),
            (std::vector<Found>{{kBase + 3 * kPageSize, 50, 4},
                                {kBase + 5 * kPageSize, 0, 6},
                                {kBase + 30 * kPageSize, 51, 0},
                                {farther, 52, 0},
                                {far, 0, 21}}));
  EXPECT_EQ(found(parent, child).size(), 5u);
  // A frame that moved is found where it was and where it is.
  Space mover;
  parent.tree().Share(mover.tree());
  auto* from = mover.tree().Own(kBase);
  auto* to = mover.tree().Own(kBase + 40 * kPageSize);
  *to = *from;
  *from = Entry();
  EXPECT_EQ(
      found(mover, parent),
      (std::vector<Found>{{kBase, 0, 1}, {kBase + 40 * kPageSize, 1, 0}}));
}

TEST_F(PageTableTreeTest, ShortMemoryIsAnswered) {
  Space parent, child;
  ASSERT_TRUE(parent.Write(kBase, 1));
  ASSERT_TRUE(parent.Write(kBase + kPageSize, 2));
  // Three tables and a page are needed.
  for (size_t left = 0; left <= 4; ++left) {
    parent.tree().Share(child.tree());
    HostFrames::limit = HostFrames::frames.size() + left;
    EXPECT_EQ(child.Write(kBase, 9), left == 4);
    EXPECT_EQ(parent.Read(kBase), 1u);
    EXPECT_EQ(child.Read(kBase), left == 4 ? 9u : 1u);
    EXPECT_EQ(child.Read(kBase + kPageSize), 2u);
    HostFrames::limit = ~size_t{0};
    child.tree().Clear();
  }
}

}  // namespace
