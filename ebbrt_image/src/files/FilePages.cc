#include "files/FilePages.h"

#include "lib/Assert.h"
#include "lib/Vector.h"

void ebbrt::FilePages::ShareFrom(const FilePages& source) {
  kassert(map_ == nullptr);
  if (source.map_ == nullptr)
    return;
  source.map_->holders.fetch_add(1, std::memory_order_relaxed);
  map_ = source.map_;
  storage_.CountPages(size());
}

void ebbrt::FilePages::drop(Map* map) {
  if (map->holders.fetch_sub(1, std::memory_order_acq_rel) > 1)
    return;
  map->pages.ForEach([this](std::uint64_t, std::byte* page) {
    storage_.source().FreePage(page);
  });
  delete map;
}

ebbrt::HashMap<std::byte*>& ebbrt::FilePages::own_map() {
  if (map_ == nullptr)
    map_ = new Map;
  if (map_->holders.load(std::memory_order_acquire) == 1)
    return map_->pages;
  auto own = new Map;
  map_->pages.ForEach([&](std::uint64_t index, std::byte* page) {
    storage_.source().SharePage(page);
    own->pages.Insert(index, page);
  });
  drop(map_);
  map_ = own;
  return own->pages;
}

const std::byte* ebbrt::FilePages::Find(std::uint64_t index) const {
  auto page = map_ == nullptr ? nullptr : map_->pages.Find(index);
  return page == nullptr ? nullptr : *page;
}

std::byte* ebbrt::FilePages::ForWrite(std::uint64_t index) {
  auto& pages = own_map();
  auto found = pages.Find(index);
  if (found != nullptr) {
    auto own = storage_.MakeOwn(*found);
    if (own != nullptr)
      *found = own;
    return own;
  }
  auto page = storage_.AllocatePage();
  if (page != nullptr)
    pages.Insert(index, page);
  return page;
}

void ebbrt::FilePages::Cut(std::uint64_t first) {
  Vector<std::uint64_t> cut;
  ForEach([&](std::uint64_t index, const std::byte*) {
    if (index >= first)
      cut.PushBack(index);
  });
  if (cut.size() == size())
    return Clear();
  for (auto index : cut) {
    auto& pages = own_map();
    storage_.FreePage(*pages.Find(index));
    pages.Erase(index);
  }
}

void ebbrt::FilePages::Clear() {
  if (map_ == nullptr)
    return;
  storage_.UncountPages(size());
  drop(map_);
  map_ = nullptr;
}
