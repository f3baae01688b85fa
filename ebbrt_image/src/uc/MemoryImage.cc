#include "uc/MemoryImage.h"

std::unique_ptr<ebbrt::MemoryImage>
ebbrt::MemoryImage::Create(RegionMap regions) {
  auto root = KernelFrames::AllocateTable();
  if (!root.valid())
    return nullptr;
  return std::unique_ptr<MemoryImage>(
      new MemoryImage(root, std::move(regions)));
}

ebbrt::MemoryImage::~MemoryImage() {
  tree_.Clear();
  page_allocator->Free(tree_.root());
}

void ebbrt::MemoryImage::Take(Tree& source) {
  source.ForEachOwned(0, Tree::kUserEnd,
                      [this](uint64_t address, PageTableEntry entry) {
                        own_pages_.PushBack({address, entry.pfn()});
                      });
  source.Share(tree_);
}
