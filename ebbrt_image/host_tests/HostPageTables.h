// Page tables in host memory: frames, a space that uses a tree as AddressSpace
// does, and an audit of who refers to what.
#ifndef EBBRT_HOST_TESTS_HOSTPAGETABLES_H_
#define EBBRT_HOST_TESTS_HOSTPAGETABLES_H_

#include <array>
#include <map>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "mm/PageTableTree.h"

namespace ebbrt::test {

using Entry = PageTableEntry;

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

using Tree = PageTableTree<HostFrames>;

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

// Fails a test that leaves frames over.
class PageTableTest : public testing::Test {
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

}  // namespace ebbrt::test

#endif  // EBBRT_HOST_TESTS_HOSTPAGETABLES_H_
