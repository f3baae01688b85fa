// What all files of one /tmp share: where pages come from, how much may be
// used, and the clock. Every inode holds on to it, so a file that is still open
// may outlive the TmpFs it was made in.
//
// A page counts in the storage of every UC that has it in a file, shared or
// not. So a clone runs into its limit where its source would have, and breaking
// the sharing never does.
#ifndef EBBRT_FILES_TMPSTORAGE_H_
#define EBBRT_FILES_TMPSTORAGE_H_

#include <cstddef>
#include <cstdint>

#include "files/Abi.h"
#include "files/PageSource.h"
#include "lib/RefCounted.h"

namespace ebbrt {

class TmpStorage : public RefCounted<TmpStorage> {
 public:
  // Nanoseconds of Unix time.
  using Clock = std::uint64_t (*)();

  struct Limits {
    std::size_t pages;
    std::size_t inodes;
  };

  // `pages` must outlive this object.
  TmpStorage(PageSource& pages, Clock clock, Limits limits);
  ~TmpStorage();

  // A zeroed page; null when the limit is reached or there is no memory.
  std::byte* AllocatePage();
  // Pages that other storages count too.
  void CountPages(std::size_t count) { pages_used_ += count; }
  void UncountPages(std::size_t count);
  // The page itself if nobody else owns it, else a copy, with which the page is
  // given up. Null when there is no memory; nothing has changed then.
  std::byte* MakeOwn(std::byte* page);
  void FreePage(std::byte* page);

  PageSource& source() const { return pages_; }

  // The number of a new inode, or 0 when there are too many.
  std::uint64_t TakeInode();
  // Counts an inode that brings its number with it.
  void AdoptInode();
  void ReturnInode();

  // The number given last; new ones go on from there.
  std::uint64_t last_number() const { return last_number_; }
  void ContinueNumbers(std::uint64_t last) { last_number_ = last; }

  abi::TimeSpec Now() const;

  std::size_t pages_used() const { return pages_used_; }
  std::size_t inodes_used() const { return inodes_used_; }
  const Limits& limits() const { return limits_; }

 private:
  PageSource& pages_;
  Clock clock_;
  Limits limits_;
  std::size_t pages_used_ = 0;
  std::size_t inodes_used_ = 0;
  std::uint64_t last_number_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_TMPSTORAGE_H_
