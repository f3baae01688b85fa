#include "mm/SharedRegion.h"

#include "boot/BootInfo.h"
#include "mm/PageAllocator.h"

namespace {

struct Bounds {
  uint64_t start = 0;
  uint64_t end = 0;
};

Bounds Find() {
  auto option = ebbrt::boot_info::Option("seuss.shared");
  if (option.empty())
    return {};
  auto start = ebbrt::boot_info::TakeNumber(option);
  if (option.empty() || option.front() != '@')
    return {};
  option.remove_prefix(1);
  auto size = ebbrt::boot_info::TakeNumber(option);
  return {ebbrt::PageUp(start), ebbrt::PageDown(start + size)};
}

}  // namespace

uint64_t ebbrt::shared_region::Start() {
  return Find().start;
}

uint64_t ebbrt::shared_region::End() {
  return Find().end;
}

void ebbrt::shared_region::Init() {
  auto bounds = Find();
  for (auto pfn = Pfn::Down(bounds.start);
       pfn < Pfn::Down(bounds.end) && frames::IsRam(pfn); pfn = pfn + 1)
    frames::Get(pfn).references.store(1, std::memory_order_relaxed);
}

ebbrt::Pfn ebbrt::shared_region::At(uint64_t index) {
  auto bounds = Find();
  if (index >= (bounds.end - bounds.start) / kPageSize)
    return Pfn::None();
  auto pfn = Pfn::Down(bounds.start) + index;
  return frames::IsRam(pfn) ? pfn : Pfn::None();
}
