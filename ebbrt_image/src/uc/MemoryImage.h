// The memory of a snapshot: a page-table tree that nobody writes to, and which
// of its pages the snapshot brought itself.
#ifndef EBBRT_UC_MEMORYIMAGE_H_
#define EBBRT_UC_MEMORYIMAGE_H_

#include <cstdint>
#include <memory>
#include <span>

#include "mm/KernelFrames.h"
#include "mm/PageTableTree.h"
#include "uc/RegionMap.h"

namespace ebbrt {

class MemoryImage {
 public:
  using Tree = PageTableTree<KernelFrames>;

  // A page by its address, and the frame that holds it.
  struct Page {
    uint64_t address;
    Pfn pfn;
  };

  // Empty; null if memory is short.
  static std::unique_ptr<MemoryImage> Create(RegionMap regions);
  ~MemoryImage();
  MemoryImage(const MemoryImage&) = delete;
  MemoryImage& operator=(const MemoryImage&) = delete;

  // An image of pages that lie in frames of others, on top of what `parent` (or
  // nothing, if null) maps. Pages whose frame is not valid are zero. Null if
  // memory is short.
  static std::unique_ptr<MemoryImage>
  Build(MemoryImage* parent, RegionMap regions, std::span<const Page> pages);

  // visit(Page) for those that read otherwise than in `parent`, or, if that is
  // null, than what the regions are filled with. Invalid frames stand for
  // zeroes.
  template <class Visit>
  void ForEachDifference(const MemoryImage* parent, Visit visit) const {
    auto compare = [&](uint64_t address, PageTableEntry ours,
                       PageTableEntry theirs) {
      Page page;
      if (differs(address, ours, theirs, page))
        visit(page);
    };
    if (parent)
      tree_.ForEachDifference(parent->tree_, compare);
    else
      tree_.ForEach(0, Tree::kUserEnd,
                    [&compare](uint64_t address, PageTableEntry ours) {
                      compare(address, ours, PageTableEntry());
                    });
  }

  // Takes over what `source` maps; its own pages become this image's, and
  // `source` borrows them.
  void Take(Tree& source);

  // Makes `target`, an empty tree, a borrower. Cores may do so at the same
  // time.
  void ShareWith(Tree& target) { tree_.Share(target); }

  const RegionMap& regions() const { return regions_; }
  // Pages in frames that were written since the source was deployed.
  uint64_t own_pages() const { return own_pages_; }

 private:
  MemoryImage(Pfn root, RegionMap regions)
      : tree_(root), regions_(std::move(regions)) {}

  bool differs(uint64_t address, PageTableEntry ours, PageTableEntry theirs,
               Page& page) const;
  // Gives pages whose region was protected otherwise before what they have now.
  bool protect_since(const RegionMap& before);

  Tree tree_;
  RegionMap regions_;
  uint64_t own_pages_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_MEMORYIMAGE_H_
