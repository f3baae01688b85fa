// Where files in memory get their pages from.
#ifndef EBBRT_FILES_PAGESOURCE_H_
#define EBBRT_FILES_PAGESOURCE_H_

#include <cstddef>

namespace ebbrt {

class PageSource {
 public:
  static constexpr std::size_t kPageSize = 4096;

  // A page aligned page with anything in it, or null when there is none.
  virtual void* AllocatePage() = 0;
  virtual void FreePage(void* page) = 0;

 protected:
  ~PageSource() = default;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_PAGESOURCE_H_
