// A PageSource whose pages the sanitizer watches, with a limit and a count.
#ifndef EBBRT_HOST_TESTS_FAKEPAGES_H_
#define EBBRT_HOST_TESTS_FAKEPAGES_H_

#include <cstdlib>
#include <cstring>

#include "files/PageSource.h"
#include "files/TmpStorage.h"

class FakePages final : public ebbrt::PageSource {
 public:
  explicit FakePages(std::size_t limit = ~std::size_t{0}) : limit_(limit) {}

  void* AllocatePage() override {
    if (used_ == limit_)
      return nullptr;
    ++used_;
    auto page = std::aligned_alloc(kPageSize, kPageSize);
    // What somebody else left there must not show.
    std::memset(page, 0xee, kPageSize);
    return page;
  }
  void FreePage(void* page) override {
    --used_;
    std::free(page);
  }
  std::size_t used() const { return used_; }

 private:
  std::size_t limit_;
  std::size_t used_ = 0;
};

// Moves on by one second with every look.
inline std::uint64_t FakeClock() {
  static std::uint64_t now = 1'000'000'000'000'000'000;
  return now += 1'000'000'000;
}

#endif  // EBBRT_HOST_TESTS_FAKEPAGES_H_
