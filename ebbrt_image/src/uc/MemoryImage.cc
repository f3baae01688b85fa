#include "uc/MemoryImage.h"

#include "uc/AddressSpace.h"

std::unique_ptr<ebbrt::MemoryImage>
ebbrt::MemoryImage::Create(RegionMap regions) {
  auto root = KernelFrames::AllocateTable();
  if (!root.valid())
    return nullptr;
  return std::unique_ptr<MemoryImage>(
      new MemoryImage(root, std::move(regions)));
}

std::unique_ptr<ebbrt::MemoryImage>
ebbrt::MemoryImage::Build(MemoryImage* parent, RegionMap regions,
                          Vector<Page> pages) {
  auto image = Create(std::move(regions));
  if (!image)
    return nullptr;
  auto& tree = image->tree_;
  if (parent)
    parent->ShareWith(tree);
  // What the parent maps where this image has no region.
  uint64_t gap = 0;
  for (const auto& region : image->regions_.regions()) {
    if (gap < region.start && !tree.Unmap(gap, region.start))
      return nullptr;
    gap = region.end;
  }
  if (!tree.Unmap(gap, Tree::kUserEnd))
    return nullptr;
  for (const auto& page : pages) {
    auto* region = image->regions_.Find(page.address);
    if (!region || !tree.Unmap(page.address, page.address + kPageSize))
      return nullptr;
    auto* entry = tree.Own(page.address);
    if (!entry)
      return nullptr;
    auto pfn = page.pfn.valid() ? page.pfn : AddressSpace::ZeroPage();
    frames::AddReference(pfn);
    auto dirty = page.pfn.valid() ? PageTableEntry::kDirty : 0;
    *entry = PageTableEntry(pfn, AddressSpace::FlagsOf(*region) | dirty);
  }
  image->own_pages_ = std::move(pages);
  return image;
}

ebbrt::Vector<ebbrt::MemoryImage::Page>
ebbrt::MemoryImage::Difference(const MemoryImage* parent) const {
  Vector<Page> pages;
  pages.Reserve(own_pages_.size());
  for (const auto& page : own_pages_)
    pages.PushBack(page);
  if (!parent)
    return pages;
  parent->tree_.ForEach(
      0, Tree::kUserEnd, [&](uint64_t address, PageTableEntry) {
        auto* region = regions_.Find(address);
        if (!region || tree_.Find(address).present())
          return;
        // It would be filled anew: from the image's file, or with zeroes.
        auto offset = address - region->start;
        auto in_file = region->file && offset < region->file_bytes;
        pages.PushBack(
            {address, in_file ? ToPfn(region->file + offset) : Pfn::None()});
      });
  return pages;
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
