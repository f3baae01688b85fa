#include "mm/BuddyAllocator.h"

#include "lib/Assert.h"

void ebbrt::BuddyAllocator::Init(Frame* frames, size_t count) {
  frames_ = frames;
  count_ = count;
  free_frames_ = 0;
  for (auto& head : heads_)
    head = Frame::kNoLink;
}

void ebbrt::BuddyAllocator::AddRange(Pfn first, size_t count) {
  auto index = first.number();
  auto end = index + count;
  kbugon(end > count_, "range ends beyond the frame table");
  while (index < end) {
    unsigned order = 0;
    while (order < kMaxOrder && index % (uint64_t{2} << order) == 0 &&
           index + (uint64_t{2} << order) <= end)
      ++order;
    push(static_cast<uint32_t>(index), order);
    free_frames_ += size_t{1} << order;
    index += uint64_t{1} << order;
  }
}

ebbrt::Pfn ebbrt::BuddyAllocator::Allocate(unsigned order) {
  kassert(order <= kMaxOrder);
  auto from = order;
  while (from <= kMaxOrder && heads_[from] == Frame::kNoLink)
    ++from;
  if (from > kMaxOrder)
    return Pfn::None();
  auto index = heads_[from];
  remove(index, from);
  // The upper halves go back, so that the lower addresses are used first.
  while (from > order) {
    --from;
    push(index + (uint32_t{1} << from), from);
  }
  frames_[index].state = FrameState::kUsed;
  frames_[index].order = static_cast<uint8_t>(order);
  free_frames_ -= size_t{1} << order;
  return Pfn(index);
}

void ebbrt::BuddyAllocator::Free(Pfn first, unsigned order) {
  auto index = static_cast<uint32_t>(first.number());
  kbugon(index >= count_, "frame %u is not RAM", index);
  kbugon(is_free(index), "frame %u freed twice", index);
  free_frames_ += size_t{1} << order;
  while (order < kMaxOrder) {
    auto buddy = index ^ (uint32_t{1} << order);
    if (buddy >= count_ || frames_[buddy].state != FrameState::kFree ||
        frames_[buddy].order != order)
      break;
    remove(buddy, order);
    frames_[buddy].state = FrameState::kUsed;
    frames_[index].state = FrameState::kUsed;
    index &= ~(uint32_t{1} << order);
    ++order;
  }
  push(index, order);
}

bool ebbrt::BuddyAllocator::Check() const {
  size_t seen = 0;
  for (unsigned order = 0; order <= kMaxOrder; ++order) {
    uint32_t previous = Frame::kNoLink;
    for (auto at = heads_[order]; at != Frame::kNoLink; at = frames_[at].next) {
      const auto& frame = frames_[at];
      if (frame.state != FrameState::kFree || frame.order != order ||
          frame.previous != previous || at % (uint32_t{1} << order) != 0)
        return false;
      seen += size_t{1} << order;
      previous = at;
    }
  }
  return seen == free_frames_;
}

bool ebbrt::BuddyAllocator::is_free(uint32_t index) const {
  // Only the first frame of a free block tells, and that may lie lower.
  for (unsigned order = 0; order <= kMaxOrder; ++order) {
    const auto& head = frames_[index & ~((uint32_t{1} << order) - 1)];
    if (head.state == FrameState::kFree && head.order >= order)
      return true;
  }
  return false;
}

void ebbrt::BuddyAllocator::push(uint32_t index, unsigned order) {
  auto& frame = frames_[index];
  frame.state = FrameState::kFree;
  frame.order = static_cast<uint8_t>(order);
  frame.previous = Frame::kNoLink;
  frame.next = heads_[order];
  if (frame.next != Frame::kNoLink)
    frames_[frame.next].previous = index;
  heads_[order] = index;
}

void ebbrt::BuddyAllocator::remove(uint32_t index, unsigned order) {
  const auto& frame = frames_[index];
  if (frame.previous != Frame::kNoLink)
    frames_[frame.previous].next = frame.next;
  else
    heads_[order] = frame.next;
  if (frame.next != Frame::kNoLink)
    frames_[frame.next].previous = frame.previous;
}
