// Where files in memory get their pages from. A page has one or more owners,
// and one of several must not write to it. Sources may be used on several cores
// at once, also for the same page.
#ifndef EBBRT_FILES_PAGESOURCE_H_
#define EBBRT_FILES_PAGESOURCE_H_

#include <cstddef>

namespace ebbrt {

class PageSource {
 public:
  static constexpr std::size_t kPageSize = 4096;

  // A page aligned page with anything in it and one owner, or null when there
  // is none.
  virtual void* AllocatePage() = 0;
  // One owner more. The caller must know that one stays meanwhile.
  virtual void SharePage(void* page) = 0;
  // Are there other owners than the asker? False stays false until the asker
  // shares the page.
  virtual bool IsShared(const void* page) const = 0;
  // One owner less; with the last one the page is gone.
  virtual void FreePage(void* page) = 0;

 protected:
  ~PageSource() = default;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_PAGESOURCE_H_
