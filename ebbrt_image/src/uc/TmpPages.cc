#include "uc/TmpPages.h"

#include "mm/KernelFrames.h"
#include "uc/AddressSpace.h"

void* ebbrt::TmpPages::AllocatePage() {
  if (PageAllocator::UncachedFrames() <= kKernelReserve)
    return nullptr;
  if (payer_ && !payer_->ChargeFile())
    return nullptr;
  auto pfn = page_allocator->Allocate();
  if (pfn.valid())
    return ToPointer(pfn);
  if (payer_)
    payer_->DischargeFile();
  return nullptr;
}

void ebbrt::TmpPages::SharePage(void* page) {
  frames::AddReference(ToPfn(page));
}

bool ebbrt::TmpPages::IsShared(const void* page) const {
  return frames::References(ToPfn(page)) > 1;
}

void ebbrt::TmpPages::FreePage(void* page) {
  if (payer_ && !IsShared(page))
    payer_->DischargeFile();
  frames::Release(ToPfn(page));
}
