#include "uc/RegionMap.h"

#include <array>
#include <optional>
#include <random>

#include <gtest/gtest.h>

namespace {

using ebbrt::Protection;
using ebbrt::Region;
using ebbrt::RegionMap;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPages = 96;
constexpr Protection kRead{true, false, false};
constexpr Protection kReadWrite{true, true, false};
constexpr Protection kNone{};

alignas(kPage) const std::byte file[16 * kPage] = {};

Region Zeroes(uint64_t first, uint64_t end, Protection protection = kRead) {
  Region region;
  region.start = first * kPage;
  region.end = end * kPage;
  region.protection = protection;
  return region;
}

Region OfFile(uint64_t first, uint64_t end, uint64_t at, uint64_t bytes) {
  auto region = Zeroes(first, end);
  region.file = file + at * kPage;
  region.file_bytes = bytes;
  return region;
}

TEST(RegionMap, NeighboursOfOneKindJoin) {
  RegionMap map;
  ASSERT_TRUE(map.Insert(Zeroes(2, 4)));
  ASSERT_TRUE(map.Insert(Zeroes(6, 8)));
  EXPECT_EQ(map.regions().size(), 2u);
  ASSERT_TRUE(map.Insert(Zeroes(4, 6)));
  ASSERT_EQ(map.regions().size(), 1u);
  EXPECT_EQ(map.regions()[0].size(), 6 * kPage);
  ASSERT_TRUE(map.Insert(Zeroes(8, 9, kReadWrite)));
  EXPECT_EQ(map.regions().size(), 2u);
  ASSERT_TRUE(map.Protect(8 * kPage, 9 * kPage, kRead));
  EXPECT_EQ(map.regions().size(), 1u);
  EXPECT_EQ(map.mapped_bytes(), 7 * kPage);
}

TEST(RegionMap, ClonesLiveApart) {
  RegionMap map;
  ASSERT_TRUE(map.Insert(Zeroes(2, 4)));
  ASSERT_TRUE(map.Insert(OfFile(6, 9, 3, 2 * kPage + 5)));
  ASSERT_TRUE(map.Insert(Zeroes(10, 20, kReadWrite)));
  auto clone = map.Clone();
  ASSERT_EQ(clone.regions().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto &ours = map.regions()[i], &theirs = clone.regions()[i];
    EXPECT_EQ(ours.start, theirs.start);
    EXPECT_EQ(ours.end, theirs.end);
    EXPECT_EQ(ours.protection, theirs.protection);
    EXPECT_EQ(ours.file, theirs.file);
    EXPECT_EQ(ours.file_bytes, theirs.file_bytes);
  }
  ASSERT_TRUE(clone.Remove(12 * kPage, 14 * kPage));
  ASSERT_TRUE(clone.Protect(2 * kPage, 3 * kPage, kNone));
  ASSERT_TRUE(map.Remove(6 * kPage, 7 * kPage));
  EXPECT_EQ(map.regions().size(), 3u);
  EXPECT_EQ(clone.regions().size(), 5u);
  EXPECT_TRUE(map.Covers(10 * kPage, 20 * kPage));
  EXPECT_NE(clone.Find(6 * kPage), nullptr);
  EXPECT_TRUE(map.Find(2 * kPage)->protection.read);
  map.Clear();
  EXPECT_EQ(clone.regions().size(), 5u);
  EXPECT_TRUE(RegionMap().Clone().regions().empty());
}

TEST(RegionMap, BordersBelongToOneSide) {
  RegionMap map;
  ASSERT_TRUE(map.Insert(Zeroes(2, 4)));
  EXPECT_EQ(map.Find(2 * kPage - 1), nullptr);
  EXPECT_NE(map.Find(2 * kPage), nullptr);
  EXPECT_NE(map.Find(4 * kPage - 1), nullptr);
  EXPECT_EQ(map.Find(4 * kPage), nullptr);
  EXPECT_TRUE(map.Free(0, 2 * kPage));
  EXPECT_TRUE(map.Free(4 * kPage, 5 * kPage));
  EXPECT_FALSE(map.Free(0, 2 * kPage + 1));
  EXPECT_FALSE(map.Free(3 * kPage, 3 * kPage + 1));
  EXPECT_TRUE(map.Covers(2 * kPage, 4 * kPage));
  EXPECT_FALSE(map.Covers(2 * kPage, 4 * kPage + 1));
  EXPECT_FALSE(map.Covers(kPage, 3 * kPage));
}

TEST(RegionMap, CuttingAFileKeepsItsPlaces) {
  RegionMap map;
  ASSERT_TRUE(map.Insert(OfFile(0, 6, 1, 3 * kPage + 100)));
  ASSERT_TRUE(map.Remove(1 * kPage, 2 * kPage));
  ASSERT_EQ(map.regions().size(), 2u);
  EXPECT_EQ(map.regions()[0].file_bytes, kPage);
  EXPECT_EQ(map.regions()[1].file, file + 3 * kPage);
  EXPECT_EQ(map.regions()[1].file_bytes, kPage + 100);
  // Behind the end of the file there is nothing of it left.
  ASSERT_TRUE(map.Protect(4 * kPage, 6 * kPage, kReadWrite));
  EXPECT_EQ(map.Find(4 * kPage)->file, nullptr);
}

TEST(RegionMap, FindFreeTakesTheHighestRoom) {
  RegionMap map;
  EXPECT_EQ(map.FindFree(3 * kPage, kPage, 10 * kPage), 7 * kPage);
  ASSERT_TRUE(map.Insert(Zeroes(8, 12)));
  EXPECT_EQ(map.FindFree(3 * kPage, kPage, 10 * kPage), 5 * kPage);
  ASSERT_TRUE(map.Insert(Zeroes(0, 4)));
  EXPECT_EQ(map.FindFree(4 * kPage, kPage, 10 * kPage), 4 * kPage);
  EXPECT_EQ(map.FindFree(5 * kPage, kPage, 10 * kPage), 0u);
  EXPECT_EQ(map.FindFree(0, kPage, 10 * kPage), 0u);
  EXPECT_EQ(map.FindFree(~uint64_t{0} - 1, kPage, 10 * kPage), 0u);
}

TEST(RegionMap, NumberOfRegionsIsBounded) {
  RegionMap map;
  uint64_t inserted = 0;
  while (map.Insert(Zeroes(3 * inserted, 3 * inserted + 2)))
    ++inserted;
  EXPECT_EQ(inserted, RegionMap::kMaxRegions);
  EXPECT_FALSE(map.Protect(0, kPage, kNone));
  EXPECT_FALSE(map.Remove(kPage, 4 * kPage));
  EXPECT_EQ(map.regions().size(), RegionMap::kMaxRegions);
  // What makes no more of them is done.
  EXPECT_TRUE(map.Protect(0, 5 * kPage, kNone));
  EXPECT_TRUE(map.Remove(0, 2 * kPage));
  EXPECT_TRUE(map.Protect(3 * kPage, 4 * kPage, kRead));
  EXPECT_EQ(map.regions().size(), RegionMap::kMaxRegions);
  EXPECT_TRUE(map.Remove(0, 3 * RegionMap::kMaxRegions * kPage));
  EXPECT_EQ(map.regions().size(), 0u);
}

// The same, page by page.
class PageModel {
 public:
  struct Page {
    Protection protection;
    const std::byte* file;
    uint64_t file_bytes;
    bool operator==(const Page&) const = default;
  };
  using Pages = std::array<std::optional<Page>, kPages>;

  void Set(const Region& region) {
    for (auto at = region.start; at < region.end; at += kPage) {
      auto offset = at - region.start;
      auto left = region.file && offset < region.file_bytes
                      ? region.file_bytes - offset
                      : 0;
      pages[at / kPage] =
          Page{region.protection, left ? region.file + offset : nullptr,
               left < kPage ? left : kPage};
    }
  }
  static Page Of(const Region& region, uint64_t at) {
    PageModel model;
    model.Set(region);
    return *model.pages[at / kPage];
  }
  bool Free(uint64_t first, uint64_t end) const {
    for (auto i = first; i < end; ++i)
      if (pages[i])
        return false;
    return true;
  }
  bool Covers(uint64_t first, uint64_t end) const {
    for (auto i = first; i < end; ++i)
      if (!pages[i])
        return false;
    return true;
  }
  uint64_t FindFree(uint64_t size, uint64_t low, uint64_t high) const {
    for (auto at = high - size + 1; at-- > low;)
      if (Free(at, at + size))
        return at;
    return 0;
  }

  Pages pages;
};

void ExpectSame(const RegionMap& map, const PageModel& model) {
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < kPages; ++i) {
    auto* region = map.Find(i * kPage + i);
    ASSERT_EQ(region != nullptr, model.pages[i].has_value()) << "page " << i;
    if (!region)
      continue;
    bytes += kPage;
    ASSERT_EQ(PageModel::Of(*region, i * kPage), *model.pages[i])
        << "page " << i;
  }
  ASSERT_EQ(map.mapped_bytes(), bytes);
  const auto& regions = map.regions();
  for (size_t i = 0; i + 1 < regions.size(); ++i) {
    ASSERT_LE(regions[i].end, regions[i + 1].start);
    ASSERT_FALSE(regions[i].Continues(regions[i + 1])) << "not joined";
  }
}

TEST(RegionMap, RandomUseAgreesWithPages) {
  std::mt19937 random(2);
  auto below = [&random](uint64_t n) { return random() % n; };
  for (int round = 0; round < 60; ++round) {
    RegionMap map;
    PageModel model;
    for (int step = 0; step < 120; ++step) {
      auto first = below(kPages - 1);
      auto end = first + 1 + below(std::min<uint64_t>(20, kPages - first - 1));
      Protection protection{below(2) == 1, below(2) == 1, false};
      switch (below(4)) {
      case 0:
      case 1: {
        ASSERT_EQ(map.Free(first * kPage, end * kPage), model.Free(first, end));
        if (!model.Free(first, end))
          break;
        auto region = Zeroes(first, end, protection);
        if (below(3) == 0) {
          region.file = file + below(8) * kPage;
          region.file_bytes = 1 + below(region.size());
        }
        ASSERT_TRUE(map.Insert(region));
        model.Set(region);
        break;
      }
      case 2:
        ASSERT_TRUE(map.Remove(first * kPage, end * kPage));
        for (auto i = first; i < end; ++i)
          model.pages[i].reset();
        break;
      default:
        ASSERT_TRUE(map.Protect(first * kPage, end * kPage, protection));
        for (auto i = first; i < end; ++i)
          if (model.pages[i])
            model.pages[i]->protection = protection;
        break;
      }
      ExpectSame(map, model);
      if (HasFatalFailure())
        return;
      ASSERT_EQ(map.Covers(first * kPage, end * kPage),
                model.Covers(first, end));
      auto size = 1 + below(12);
      ASSERT_EQ(map.FindFree(size * kPage, 4 * kPage, 80 * kPage),
                model.FindFree(size, 4, 80) * kPage);
    }
  }
}

}  // namespace
