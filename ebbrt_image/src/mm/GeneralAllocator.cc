#include "mm/GeneralAllocator.h"

#include <bit>
#include <new>

#include "lib/Assert.h"
#include "mm/PageAllocator.h"
#include "mm/SlabAllocator.h"

namespace {

// Sizes that cut a frame with little left over, all multiples of 16.
constinit ebbrt::SlabAllocator slabs[] = {
    ebbrt::SlabAllocator(16),  ebbrt::SlabAllocator(32),
    ebbrt::SlabAllocator(48),  ebbrt::SlabAllocator(64),
    ebbrt::SlabAllocator(96),  ebbrt::SlabAllocator(128),
    ebbrt::SlabAllocator(192), ebbrt::SlabAllocator(256),
    ebbrt::SlabAllocator(384), ebbrt::SlabAllocator(576),
    ebbrt::SlabAllocator(800), ebbrt::SlabAllocator(1344)};

}  // namespace

void* ebbrt::general_allocator::Allocate(size_t size) {
  if (size <= kMaxSmall) {
    for (auto& slab : slabs)
      if (size <= slab.object_size())
        return slab.Allocate();
  }
  if (size > kMaxSize)
    return nullptr;
  auto pages = (size + kPageSize - 1) / kPageSize;
  auto order = static_cast<unsigned>(std::bit_width(pages - 1));
  auto pfn = page_allocator->Allocate(order);
  return pfn.valid() ? ToPointer(pfn) : nullptr;
}

void ebbrt::general_allocator::Free(void* object) {
  if (!object)
    return;
  auto pfn = ToPfn(object);
  auto& frame = frames::Get(pfn);
  if (frame.state == FrameState::kSlab) {
    SlabAllocator::Owner(object).Free(object);
    return;
  }
  kbugon(frame.state != FrameState::kUsed, "free of %p", object);
  page_allocator->Free(pfn, frame.order);
}

const std::nothrow_t std::nothrow{};

void* operator new(size_t size) {
  auto* object = ebbrt::general_allocator::Allocate(size);
  kbugon(!object, "kernel heap exhausted by %lu bytes", size);
  return object;
}

void* operator new[](size_t size) {
  return operator new(size);
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return ebbrt::general_allocator::Allocate(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return ebbrt::general_allocator::Allocate(size);
}
void operator delete(void* object) noexcept {
  ebbrt::general_allocator::Free(object);
}
void operator delete[](void* object) noexcept {
  ebbrt::general_allocator::Free(object);
}
void operator delete(void* object, size_t) noexcept {
  ebbrt::general_allocator::Free(object);
}
void operator delete[](void* object, size_t) noexcept {
  ebbrt::general_allocator::Free(object);
}
