// A PageSource whose pages the sanitizer watches, with a limit and a count.
#ifndef EBBRT_HOST_TESTS_FAKEPAGES_H_
#define EBBRT_HOST_TESTS_FAKEPAGES_H_

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "files/PageSource.h"
#include "files/TmpStorage.h"

class FakePages final : public ebbrt::PageSource {
 public:
  explicit FakePages(std::size_t limit = ~std::size_t{0}) : limit_(limit) {}

  void* AllocatePage() override {
    std::lock_guard guard(lock_);
    if (owners_.size() == limit_)
      return nullptr;
    auto page = std::aligned_alloc(kPageSize, kPageSize);
    // What somebody else left there must not show.
    std::memset(page, 0xee, kPageSize);
    owners_[page] = 1;
    return page;
  }
  void SharePage(void* page) override {
    std::lock_guard guard(lock_);
    ++owners_.at(page);
  }
  bool IsShared(const void* page) const override {
    std::lock_guard guard(lock_);
    return owners_.at(page) > 1;
  }
  void FreePage(void* page) override {
    std::lock_guard guard(lock_);
    if (--owners_.at(page) > 0)
      return;
    owners_.erase(page);
    std::free(page);
  }
  // Pages that have an owner.
  std::size_t used() const {
    std::lock_guard guard(lock_);
    return owners_.size();
  }

 private:
  std::size_t limit_;
  mutable std::mutex lock_;
  std::map<const void*, std::size_t> owners_;
};

// Moves on by one second with every look.
inline std::uint64_t FakeClock() {
  static std::uint64_t now = 1'000'000'000'000'000'000;
  return now += 1'000'000'000;
}

#endif  // EBBRT_HOST_TESTS_FAKEPAGES_H_
