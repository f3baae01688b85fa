#include "uc/MemoryImage.h"

#include <algorithm>

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
                          std::span<const Page> pages) {
  auto image = Create(std::move(regions));
  if (!image)
    return nullptr;
  auto& tree = image->tree_;
  if (parent)
    parent->ShareWith(tree);
  if (parent && !image->protect_since(parent->regions_))
    return nullptr;
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
  image->own_pages_ = pages.size();
  return image;
}

bool ebbrt::MemoryImage::protect_since(const RegionMap& before) {
  auto* old = before.regions().begin();
  for (const auto& region : regions_.regions()) {
    for (; old != before.regions().end() && old->start < region.end; ++old) {
      auto start = std::max(old->start, region.start);
      auto end = std::min(old->end, region.end);
      auto change = [flags = AddressSpace::FlagsOf(region)](
                        uint64_t, PageTableEntry& entry) {
        entry = PageTableEntry(
            entry.pfn(), flags | (entry.flags() & PageTableEntry::kDirty));
      };
      if (start < end && old->protection != region.protection &&
          !tree_.Change(start, end, change))
        return false;
      // It may reach into the next region.
      if (old->end > region.end)
        break;
    }
  }
  return true;
}

bool ebbrt::MemoryImage::differs(uint64_t address, PageTableEntry ours,
                                 PageTableEntry theirs, Page& page) const {
  auto* region = regions_.Find(address);
  if (!region)
    return false;
  // What a fault would fill the page with.
  auto offset = address - region->start;
  auto fill = region->file && offset < region->file_bytes
                  ? ToPfn(region->file + offset)
                  : AddressSpace::ZeroPage();
  auto pfn = ours.present() ? ours.pfn() : fill;
  page = {address, pfn == AddressSpace::ZeroPage() ? Pfn::None() : pfn};
  return theirs.present() || pfn != fill;
}

ebbrt::MemoryImage::~MemoryImage() {
  tree_.Clear();
  page_allocator->Free(tree_.root());
}

void ebbrt::MemoryImage::Take(Tree& source) {
  source.ForEachOwned(0, Tree::kUserEnd,
                      [this](uint64_t, PageTableEntry) { ++own_pages_; });
  source.Share(tree_);
}
