#include "mm/PageTableTree.h"

#include <array>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace {

using ebbrt::EntrySpan;
using ebbrt::kPageSize;
using ebbrt::kRootLevel;
using ebbrt::kTableEntries;
using ebbrt::Pfn;
using Entry = ebbrt::PageTableEntry;

// Frames in host memory. Each is an allocation of its own, so that a use after
// its end is found.
struct HostFrames {
  struct HostFrame {
    std::unique_ptr<std::array<uint64_t, kTableEntries>> bytes;
    uint32_t references;
  };

  static void* Pointer(Pfn pfn) { return Get(pfn).bytes->data(); }
  static Pfn AllocateTable() {
    if (frames.size() >= limit)
      return Pfn::None();
    auto number = next++;
    frames[number] = {std::make_unique<std::array<uint64_t, kTableEntries>>(),
                      1};
    frames[number].bytes->fill(0);
    ++allocated;
    return Pfn(number);
  }
  static void AddReference(Pfn pfn) { ++Get(pfn).references; }
  static uint32_t References(Pfn pfn) { return Get(pfn).references; }
  static bool DropReference(Pfn pfn) {
    EXPECT_GT(Get(pfn).references, 0u);
    return --Get(pfn).references == 0;
  }
  static void Free(Pfn pfn) {
    EXPECT_EQ(Get(pfn).references, 0u);
    frames.erase(pfn.number());
  }

  static HostFrame& Get(Pfn pfn) {
    auto found = frames.find(pfn.number());
    if (found == frames.end())
      kabort("frame %lu is not in use", pfn.number());
    return found->second;
  }

  static inline std::map<uint64_t, HostFrame> frames;
  static inline uint64_t next = 1;
  static inline size_t allocated;
  static inline size_t limit;
};

using Tree = ebbrt::PageTableTree<HostFrames>;

constexpr uint64_t kFlags = Entry::kPresent | Entry::kUser | Entry::kAccessed;

// A tree with its root, used as AddressSpace uses it.
class Space {
 public:
  Space() : tree_(HostFrames::AllocateTable()) {}
  ~Space() {
    tree_.Clear();
    auto root = tree_.root();
    EXPECT_TRUE(HostFrames::DropReference(root));
    HostFrames::Free(root);
  }
  Space(const Space&) = delete;

  Tree& tree() { return tree_; }

  // 0 for a page that is not there.
  uint64_t Read(uint64_t address) const {
    auto entry = tree_.Find(address);
    return entry.present() ? Word(entry.pfn()) : 0;
  }

  // False when memory is short; then nothing has changed for anybody.
  bool Write(uint64_t address, uint64_t value) {
    auto* entry = tree_.Own(address);
    if (!entry)
      return false;
    if (!entry->present()) {
      auto pfn = HostFrames::AllocateTable();
      if (!pfn.valid())
        return false;
      *entry = Entry(pfn, kFlags | Entry::kWritable);
    } else if (!entry->writable()) {
      auto old = entry->pfn();
      if (HostFrames::References(old) == 1) {
        entry->Set(Entry::kWritable);
      } else {
        auto pfn = HostFrames::AllocateTable();
        if (!pfn.valid())
          return false;
        Word(pfn) = Word(old);
        *entry = Entry(pfn, entry->flags() | Entry::kWritable);
        if (HostFrames::DropReference(old))
          HostFrames::Free(old);
      }
    }
    Word(entry->pfn()) = value;
    return true;
  }

  static uint64_t& Word(Pfn pfn) {
    return *static_cast<uint64_t*>(HostFrames::Pointer(pfn));
  }

 private:
  Tree tree_;
};

// Counts the references that all tables reached from the spaces hold, and looks
// at every leaf as the MMU does.
class Audit {
 public:
  void Add(Space& space) {
    auto root = space.tree().root();
    ++references_[root.number()];
    visit(root, kRootLevel, true, true);
  }

  void ExpectExact() const {
    ASSERT_EQ(references_.size(), HostFrames::frames.size());
    for (auto [number, count] : references_)
      ASSERT_EQ(HostFrames::References(Pfn(number)), count)
          << "frame " << number;
  }

 private:
  void visit(Pfn table, unsigned level, bool writable, bool owned) {
    auto first = visited_.insert(table.number()).second;
    auto* entries = static_cast<Entry*>(HostFrames::Pointer(table));
    for (unsigned i = 0; i < kTableEntries; ++i) {
      if (!entries[i].present())
        continue;
      auto pfn = entries[i].pfn();
      if (first)
        ++references_[pfn.number()];
      auto may_write = writable && entries[i].writable();
      auto only_ours = owned && HostFrames::References(pfn) == 1;
      ASSERT_TRUE(!may_write || only_ours)
          << "level " << level << " entry " << i << " lets write what is not "
          << "owned";
      if (level > 1)
        visit(pfn, level - 1, may_write, only_ours);
    }
  }

  std::map<uint64_t, uint32_t> references_;
  std::set<uint64_t> visited_;
};

class PageTableTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    HostFrames::frames.clear();
    HostFrames::allocated = 0;
    HostFrames::limit = ~size_t{0};
  }
  void TearDown() override {
    EXPECT_EQ(HostFrames::frames.size(), 0u) << "frames left over";
  }
};

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

// Addresses that meet at every level of the tree.
uint64_t RandomPage(std::mt19937& random) {
  return random() % 3 * EntrySpan(4) + random() % 2 * EntrySpan(3) +
         random() % 3 * EntrySpan(2) + random() % 5 * kPageSize;
}

class Lineage {
 public:
  explicit Lineage(unsigned seed) : random_(seed) {
    spaces_.push_back({std::make_unique<Space>(), {}});
  }

  void Step() {
    auto at = std::next(spaces_.begin(), random_() % spaces_.size());
    auto& [space, model] = *at;
    auto page = RandomPage(random_);
    switch (random_() % 16) {
    case 0:
      if (spaces_.size() < 10)
        share(*at);
      break;
    case 1:
      if (spaces_.size() > 1)
        spaces_.erase(at);
      break;
    case 2: {
      auto end = RandomPage(random_) + kPageSize;
      if (page >= end)
        break;
      auto whole = space->tree().Unmap(page, end);
      for (auto i = model.lower_bound(page);
           i != model.end() && i->first < end;) {
        // What is left when memory ran short may be there or not.
        if (whole || !space->tree().Find(i->first).present())
          i = model.erase(i);
        else
          ++i;
      }
      break;
    }
    case 3: {
      auto end = RandomPage(random_) + kPageSize;
      if (page < end)
        space->tree().Change(page, end, [](uint64_t, Entry& entry) {
          entry.Clear(Entry::kWritable);
        });
      break;
    }
    case 4:
      space->tree().Clear();
      model.clear();
      break;
    default:
      if (space->Write(page, ++value_))
        model[page] = value_;
    }
  }

  void Check() {
    Audit audit;
    for (auto& [space, model] : spaces_) {
      audit.Add(*space);
      std::map<uint64_t, uint64_t> seen;
      space->tree().ForEach(0, Tree::kUserEnd,
                            [&seen](uint64_t at, Entry entry) {
                              seen[at] = Space::Word(entry.pfn());
                            });
      ASSERT_EQ(seen, model);
    }
    audit.ExpectExact();
  }

  size_t size() const { return spaces_.size(); }

 private:
  struct Member {
    std::unique_ptr<Space> space;
    std::map<uint64_t, uint64_t> model;
  };

  void share(Member& parent) {
    if (HostFrames::frames.size() >= HostFrames::limit)
      return;
    auto child = std::make_unique<Space>();
    parent.space->tree().Share(child->tree());
    spaces_.push_back({std::move(child), parent.model});
  }

  std::mt19937 random_;
  std::list<Member> spaces_;
  uint64_t value_ = 0;
};

TEST_F(PageTableTreeTest, RandomLineagesAgreeWithModel) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    Lineage lineage(seed);
    for (int step = 0; step < 500; ++step) {
      lineage.Step();
      lineage.Check();
      if (HasFatalFailure())
        FAIL() << "seed " << seed << " step " << step;
    }
  }
}

TEST_F(PageTableTreeTest, RandomLineagesSurviveShortMemory) {
  for (unsigned seed = 100; seed < 112; ++seed) {
    HostFrames::limit = 40 + seed % 5 * 10;
    Lineage lineage(seed);
    for (int step = 0; step < 500; ++step) {
      lineage.Step();
      lineage.Check();
      if (HasFatalFailure())
        FAIL() << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
