#include "uc/TmpPages.h"

#include "mm/PageAllocator.h"

namespace {

// Left to the kernel and to faults.
constexpr size_t kReserve = 1024;

}  // namespace

void* ebbrt::TmpPages::AllocatePage() {
  if (PageAllocator::UncachedFrames() <= kReserve)
    return nullptr;
  auto pfn = page_allocator->Allocate();
  return pfn.valid() ? ToPointer(pfn) : nullptr;
}

void ebbrt::TmpPages::FreePage(void* page) {
  page_allocator->Free(ToPfn(page));
}
