// Pages that a request wrote in a UC deployed from a snapshot. Later requests
// write mostly the same ones, so they get their copies ahead, all together,
// instead of by a fault each.
#ifndef EBBRT_UC_WRITESET_H_
#define EBBRT_UC_WRITESET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "mm/Pfn.h"

namespace ebbrt {

class WriteSet {
 public:
  WriteSet() = default;
  ~WriteSet() { delete pages_.load(std::memory_order_relaxed); }
  WriteSet(const WriteSet&) = delete;
  WriteSet& operator=(const WriteSet&) = delete;

  bool known() const { return pages_.load(std::memory_order_acquire); }
  // Addresses in ascending order; empty while nothing is known.
  std::span<const uint64_t> pages() const {
    auto* pages = pages_.load(std::memory_order_acquire);
    if (!pages)
      return {};
    return {pages->addresses, pages->count};
  }

  // walk(visit) calls visit(address) for each page. Only the first set counts,
  // on whichever core; beyond kMost pages the rest is left out. Without memory
  // nothing is learnt.
  template <class Walk> void Learn(Walk walk) {
    if (known())
      return;
    std::unique_ptr<Pages> pages(new (std::nothrow) Pages);
    if (!pages)
      return;
    walk([&pages](uint64_t address) {
      if (pages->count < kMost)
        pages->addresses[pages->count++] = address;
    });
    Pages* none = nullptr;
    if (pages_.compare_exchange_strong(none, pages.get(),
                                       std::memory_order_acq_rel))
      pages.release();
  }

 private:
  static constexpr size_t kMost = kPageSize / sizeof(uint64_t) - 1;

  struct Pages {
    uint64_t count = 0;
    uint64_t addresses[kMost];
  };
  static_assert(sizeof(Pages) == kPageSize);

  std::atomic<Pages*> pages_{nullptr};
};

}  // namespace ebbrt

#endif  // EBBRT_UC_WRITESET_H_
