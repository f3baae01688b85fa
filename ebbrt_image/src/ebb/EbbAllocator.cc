#include "ebb/EbbAllocator.h"

#include <atomic>

#include "ebb/StaticIds.h"

namespace {

std::atomic<uint32_t> next_id{ebbrt::kFirstDynamicId.number()};

}  // namespace

ebbrt::EbbId ebbrt::ebb_allocator::Allocate() {
  return EbbId(next_id.fetch_add(1, std::memory_order_relaxed));
}
