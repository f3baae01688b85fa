// Random lineages of page tables against a model.
#include <list>
#include <map>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "HostPageTables.h"

namespace {

using ebbrt::EntrySpan;
using ebbrt::kPageSize;
using namespace ebbrt::test;

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

class PageTableLineageTest : public PageTableTest {
 protected:
  void Walk(unsigned seed) {
    Lineage lineage(seed);
    for (int step = 0; step < 500; ++step) {
      lineage.Step();
      lineage.Check();
      if (HasFatalFailure())
        FAIL() << "seed " << seed << " step " << step;
    }
  }
};

TEST_F(PageTableLineageTest, AgreesWithModel) {
  for (unsigned seed = 0; seed < 12 && !HasFatalFailure(); ++seed)
    Walk(seed);
}

TEST_F(PageTableLineageTest, SurvivesShortMemory) {
  for (unsigned seed = 100; seed < 112 && !HasFatalFailure(); ++seed) {
    HostFrames::limit = 40 + seed % 5 * 10;
    Walk(seed);
  }
}

}  // namespace
