#include "mm/SlabAllocator.h"

#include <cstring>

#include "lib/Assert.h"
#include "mm/PageAllocator.h"

namespace {

constexpr uint32_t kFirstObject = 64;

}  // namespace

void* ebbrt::SlabAllocator::Allocate() {
  LockGuard guard(lock_);
  auto* slab = partial_;
  if (!slab) {
    slab = reserve_;
    reserve_ = nullptr;
    if (!slab) {
      auto pfn = page_allocator->Allocate();
      if (!pfn.valid())
        return nullptr;
      frames::Get(pfn).state = FrameState::kSlab;
      slab = ToPointer<Slab>(pfn);
      slab->never_used = kFirstObject;
      slab->owner = this;
    }
    link(slab);
  }
  auto* object = slab->free_list;
  if (object) {
    slab->free_list = *static_cast<void**>(object);
  } else {
    object = reinterpret_cast<char*>(slab) + slab->never_used;
    slab->never_used += object_size_;
  }
  ++slab->used;
  if (full(*slab))
    unlink(slab);
  return object;
}

void ebbrt::SlabAllocator::Free(void* object) {
  auto* slab = slab_of(object);
  LockGuard guard(lock_);
  kbugon(slab->used == 0, "object freed twice");
  if (full(*slab))
    link(slab);
  *static_cast<void**>(object) = slab->free_list;
  slab->free_list = object;
  if (--slab->used > 0)
    return;
  unlink(slab);
  if (!reserve_) {
    reserve_ = slab;
    return;
  }
  auto pfn = ToPfn(slab);
  frames::Get(pfn).state = FrameState::kUsed;
  page_allocator->Free(pfn);
}

ebbrt::SlabAllocator::Slab* ebbrt::SlabAllocator::slab_of(void* object) {
  return reinterpret_cast<Slab*>(PageDown(reinterpret_cast<uint64_t>(object)));
}

bool ebbrt::SlabAllocator::full(const Slab& slab) const {
  return !slab.free_list && slab.never_used + object_size_ > kPageSize;
}

void ebbrt::SlabAllocator::link(Slab* slab) {
  slab->previous = nullptr;
  slab->next = partial_;
  if (partial_)
    partial_->previous = slab;
  partial_ = slab;
}

void ebbrt::SlabAllocator::unlink(Slab* slab) {
  if (slab->previous)
    slab->previous->next = slab->next;
  else
    partial_ = slab->next;
  if (slab->next)
    slab->next->previous = slab->previous;
}
