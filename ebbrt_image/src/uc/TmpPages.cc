#include "uc/TmpPages.h"

#include "mm/KernelFrames.h"

void* ebbrt::TmpPages::AllocatePage() {
  if (PageAllocator::UncachedFrames() <= kKernelReserve)
    return nullptr;
  auto pfn = page_allocator->Allocate();
  return pfn.valid() ? ToPointer(pfn) : nullptr;
}

void ebbrt::TmpPages::SharePage(void* page) {
  frames::AddReference(ToPfn(page));
}

bool ebbrt::TmpPages::IsShared(const void* page) const {
  return frames::References(ToPfn(page)) > 1;
}

void ebbrt::TmpPages::FreePage(void* page) {
  frames::Release(ToPfn(page));
}
