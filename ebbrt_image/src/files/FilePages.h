// The pages of one file in /tmp; an index without a page is a hole. A clone of
// the file shares the whole map at first, so cloning does not depend on the
// size. The first write on either side makes a map of its own, and each page is
// copied when it is written to.
#ifndef EBBRT_FILES_FILEPAGES_H_
#define EBBRT_FILES_FILEPAGES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "files/TmpStorage.h"
#include "lib/HashMap.h"

namespace ebbrt {

class FilePages {
 public:
  // `storage` must outlive this object.
  explicit FilePages(TmpStorage& storage) : storage_(storage) {}
  FilePages(const FilePages&) = delete;
  FilePages& operator=(const FilePages&) = delete;
  ~FilePages() { Clear(); }

  // Only when empty. `source` may be shared on several cores at once.
  void ShareFrom(const FilePages& source);

  std::size_t size() const { return map_ == nullptr ? 0 : map_->pages.size(); }
  // Null for a hole.
  const std::byte* Find(std::uint64_t index) const;
  // Null when the limit is reached or there is no memory.
  std::byte* ForWrite(std::uint64_t index);
  // All from `first` on become holes.
  void Cut(std::uint64_t first);
  void Clear();

  // visit(index, page) in no order.
  template <class F> void ForEach(F&& visit) const {
    if (map_ != nullptr)
      map_->pages.ForEach([&](std::uint64_t index, const std::byte* page) {
        visit(index, page);
      });
  }

 private:
  // Whoever has one to himself may change it, and nobody else can come to it.
  struct Map {
    std::atomic<std::uint32_t> holders{1};
    HashMap<std::byte*> pages;
  };

  HashMap<std::byte*>& own_map();
  void drop(Map* map);

  TmpStorage& storage_;
  Map* map_ = nullptr;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_FILEPAGES_H_
