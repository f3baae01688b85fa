#include "files/TmpStorage.h"

#include <cstring>

#include "lib/Assert.h"

ebbrt::TmpStorage::TmpStorage(PageSource& pages, Clock clock, Limits limits)
    : pages_(pages), clock_(clock), limits_(limits) {}

ebbrt::TmpStorage::~TmpStorage() {
  kbugon(pages_used_ != 0 || inodes_used_ != 0, "files outlive their storage");
}

std::byte* ebbrt::TmpStorage::AllocatePage() {
  if (pages_used_ >= limits_.pages)
    return nullptr;
  auto page = static_cast<std::byte*>(pages_.AllocatePage());
  if (page == nullptr)
    return nullptr;
  std::memset(page, 0, PageSource::kPageSize);
  ++pages_used_;
  return page;
}

void ebbrt::TmpStorage::UncountPages(std::size_t count) {
  kassert(pages_used_ >= count);
  pages_used_ -= count;
}

std::byte* ebbrt::TmpStorage::MakeOwn(std::byte* page) {
  if (!pages_.IsShared(page))
    return page;
  auto copy = static_cast<std::byte*>(pages_.AllocatePage());
  if (copy == nullptr)
    return nullptr;
  std::memcpy(copy, page, PageSource::kPageSize);
  pages_.FreePage(page);
  return copy;
}

void ebbrt::TmpStorage::FreePage(std::byte* page) {
  UncountPages(1);
  pages_.FreePage(page);
}

std::uint64_t ebbrt::TmpStorage::TakeInode() {
  if (inodes_used_ >= limits_.inodes)
    return 0;
  ++inodes_used_;
  return ++last_number_;
}

void ebbrt::TmpStorage::AdoptInode() {
  ++inodes_used_;
}

void ebbrt::TmpStorage::ReturnInode() {
  kassert(inodes_used_ > 0);
  --inodes_used_;
}

ebbrt::abi::TimeSpec ebbrt::TmpStorage::Now() const {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  auto now = clock_();
  return {static_cast<std::int64_t>(now / kSecond),
          static_cast<std::int64_t>(now % kSecond)};
}
