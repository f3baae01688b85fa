#include "virtio/Virtqueue.h"

#include "lib/Assert.h"
#include "mm/PageAllocator.h"

namespace {

constexpr uint16_t kDeviceWrites = 2;
constexpr uint16_t kNoInterrupt = 1;
// How many more buffers a device may have used than is read here.
constexpr unsigned kUnseen = 4;

}  // namespace

ebbrt::Virtqueue::Virtqueue() {
  static_assert(sizeof(Layout) <= kPageSize);
  auto pfn = page_allocator->Allocate();
  kbugon(!pfn.valid(), "no memory for a virtqueue");
  layout_ = ToPointer<Layout>(pfn);
}

uint64_t ebbrt::Virtqueue::descriptors() const {
  return ToPhysical(layout_->descriptors);
}

uint64_t ebbrt::Virtqueue::available() const {
  return ToPhysical(&layout_->available);
}

uint64_t ebbrt::Virtqueue::used() const {
  return ToPhysical(&layout_->used);
}

void ebbrt::Virtqueue::Offer(unsigned descriptor, const void* buffer,
                             uint32_t length, bool device_writes) {
  kassert(descriptor < kSize);
  layout_->descriptors[descriptor] = {
      ToPhysical(buffer), length,
      static_cast<uint16_t>(device_writes ? kDeviceWrites : 0), 0};
  layout_->available.ring[next_available_ % kSize] =
      static_cast<uint16_t>(descriptor);
  ++next_available_;
  __atomic_store_n(&layout_->available.index, next_available_,
                   __ATOMIC_RELEASE);
}

std::optional<ebbrt::Virtqueue::Used> ebbrt::Virtqueue::Take() {
  if (__atomic_load_n(&layout_->used.index, __ATOMIC_ACQUIRE) == next_used_)
    return std::nullopt;
  auto element = layout_->used.ring[next_used_ % kSize];
  ++next_used_;
  kbugon(element.id >= kSize, "virtio device returns descriptor %u",
         element.id);
  return Used{element.id, element.length};
}

bool ebbrt::Virtqueue::RanDry(unsigned offered) const {
  // The device says what it used before it looks for more. QEMU emulates one
  // processor without its fences (TCG), so what is read may be a little older
  // than what was offered; a notification that is left out is missed for ever.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  auto used = __atomic_load_n(&layout_->used.index, __ATOMIC_ACQUIRE);
  return static_cast<uint16_t>(next_available_ - used) <= offered + kUnseen;
}

void ebbrt::Virtqueue::SetInterrupts(bool on) {
  __atomic_store_n(&layout_->available.flags,
                   static_cast<uint16_t>(on ? 0 : kNoInterrupt),
                   __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
