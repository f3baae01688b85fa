#include "uc/RegionMap.h"

ebbrt::RegionMap ebbrt::RegionMap::Clone() const {
  RegionMap clone;
  clone.regions_.Reserve(regions_.size());
  for (const auto& region : regions_)
    clone.regions_.PushBack(region);
  return clone;
}

const ebbrt::Region* ebbrt::RegionMap::Find(uint64_t address) const {
  auto index = first_after(address);
  if (index == regions_.size() || regions_[index].start > address)
    return nullptr;
  return &regions_[index];
}

bool ebbrt::RegionMap::Free(uint64_t start, uint64_t end) const {
  auto index = first_after(start);
  return index == regions_.size() || regions_[index].start >= end;
}

bool ebbrt::RegionMap::Covers(uint64_t start, uint64_t end) const {
  for (auto index = first_after(start); start < end; ++index) {
    if (index == regions_.size() || regions_[index].start > start)
      return false;
    start = regions_[index].end;
  }
  return true;
}

uint64_t ebbrt::RegionMap::FindFree(uint64_t size, uint64_t low,
                                    uint64_t high) const {
  if (size == 0 || size > high - low)
    return 0;
  auto top = high;
  for (auto index = regions_.size(); index > 0; --index) {
    const auto& region = regions_[index - 1];
    if (region.start >= top)
      continue;
    auto bottom = region.end > low ? region.end : low;
    if (bottom < top && top - bottom >= size)
      return top - size;
    if (region.start < top)
      top = region.start;
    if (top <= low)
      return 0;
  }
  return top - low >= size ? top - size : 0;
}

bool ebbrt::RegionMap::Insert(const Region& region) {
  kassert(Free(region.start, region.end) && region.start < region.end);
  if (regions_.size() >= kMaxRegions)
    return false;
  auto index = first_after(region.start);
  regions_.Insert(index, region);
  join(index);
  if (index > 0)
    join(index - 1);
  return true;
}

bool ebbrt::RegionMap::Remove(uint64_t start, uint64_t end) {
  if (!may_split(start, end))
    return false;
  split(start);
  split(end);
  auto index = first_after(start);
  while (index < regions_.size() && regions_[index].start < end)
    regions_.Erase(index);
  return true;
}

bool ebbrt::RegionMap::Protect(uint64_t start, uint64_t end,
                               Protection protection) {
  if (!may_split(start, end))
    return false;
  split(start);
  split(end);
  auto first = first_after(start);
  auto index = first;
  for (; index < regions_.size() && regions_[index].start < end; ++index)
    regions_[index].protection = protection;
  // From the back, so that joining moves no index still to be looked at.
  while (index > first)
    join(--index);
  if (first > 0)
    join(first - 1);
  return true;
}

uint64_t ebbrt::RegionMap::mapped_bytes() const {
  uint64_t bytes = 0;
  for (const auto& region : regions_)
    bytes += region.size();
  return bytes;
}

size_t ebbrt::RegionMap::first_after(uint64_t address) const {
  size_t low = 0, high = regions_.size();
  while (low < high) {
    auto middle = (low + high) / 2;
    if (regions_[middle].end > address)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

bool ebbrt::RegionMap::may_split(uint64_t start, uint64_t end) const {
  auto cuts = [this](uint64_t address) {
    auto* region = Find(address);
    return region && region->start < address ? 1 : 0;
  };
  return regions_.size() + cuts(start) + cuts(end) <= kMaxRegions;
}

void ebbrt::RegionMap::split(uint64_t address) {
  auto index = first_after(address);
  if (index == regions_.size() || regions_[index].start >= address)
    return;
  auto tail = regions_[index].TailFrom(address);
  auto& head = regions_[index];
  head.end = address;
  if (head.file_bytes > head.size())
    head.file_bytes = head.size();
  regions_.Insert(index + 1, tail);
  // The part of a file's region behind the file may go on in the next one.
  join(index + 1);
}

void ebbrt::RegionMap::join(size_t index) {
  if (index + 1 >= regions_.size() ||
      !regions_[index].Continues(regions_[index + 1]))
    return;
  regions_[index].end = regions_[index + 1].end;
  regions_.Erase(index + 1);
}
