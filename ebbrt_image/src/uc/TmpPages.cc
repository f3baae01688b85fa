#include "uc/TmpPages.h"

#include "mm/KernelFrames.h"

void* ebbrt::TmpPages::AllocatePage() {
  if (PageAllocator::UncachedFrames() <= kKernelReserve)
    return nullptr;
  auto pfn = page_allocator->Allocate();
  return pfn.valid() ? ToPointer(pfn) : nullptr;
}

void ebbrt::TmpPages::FreePage(void* page) {
  page_allocator->Free(ToPfn(page));
}
