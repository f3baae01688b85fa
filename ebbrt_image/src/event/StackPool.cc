#include "event/StackPool.h"

#include <atomic>

#include "arch/Cpu.h"
#include "arch/SpinLock.h"
#include "event/EventManager.h"
#include "mm/VMem.h"

namespace {

constexpr size_t kStackPages = ebbrt::kEventStackSize / ebbrt::kPageSize;

ebbrt::SpinLock lock;
// Each free stack holds the address of the next.
uint64_t first;
size_t free_count;
std::atomic<size_t> count;

// Stacks on their way back, one batch at a time.
bool returning;
uint64_t batch[ebbrt::StackPool::kBatch];
// Cores whose TLB may still hold the batch.
std::atomic<unsigned> unflushed;

}  // namespace

// A core's part in giving a batch back.
class ebbrt::StackPool::Flush final : public Task {
 public:
  void Run() override {
    if (!flushed_by_all())
      return;
    free_batch();
    return_batches();
  }
};

ebbrt::StackPool::Flush ebbrt::StackPool::flushes_[kMaxCores];

uint64_t ebbrt::StackPool::Take() {
  {
    LockGuard guard(lock);
    if (first) {
      auto stack = first;
      first = *reinterpret_cast<uint64_t*>(stack);
      --free_count;
      return stack;
    }
  }
  count.fetch_add(1, std::memory_order_relaxed);
  return vmem::AllocateStack(kStackPages);
}

void ebbrt::StackPool::Put(uint64_t stack) {
  {
    LockGuard guard(lock);
    *reinterpret_cast<uint64_t*>(stack) = first;
    first = stack;
    ++free_count;
  }
  return_batches();
}

size_t ebbrt::StackPool::Count() {
  return count.load(std::memory_order_relaxed);
}

void ebbrt::StackPool::return_batches() {
  while (choose_batch()) {
    for (auto stack : batch)
      vmem::HideStack(stack, kStackPages);
    unflushed.store(cpu::Count(), std::memory_order_release);
    for (unsigned core = 0; core < cpu::Count(); ++core)
      if (core != cpu::Index())
        EventManager::QueueRemote(flushes_[core], core);
    // The last core goes on.
    if (!flushed_by_all())
      return;
    free_batch();
  }
}

// False if there is nothing to give back, or a batch is on its way.
bool ebbrt::StackPool::choose_batch() {
  LockGuard guard(lock);
  if (returning || free_count < kKept + kBatch)
    return false;
  returning = true;
  for (auto& stack : batch) {
    stack = first;
    first = *reinterpret_cast<uint64_t*>(stack);
  }
  free_count -= kBatch;
  return true;
}

// Flushes the TLB of this core, which may have written to a blocked event's
// stack to activate it. True on the core that is last.
bool ebbrt::StackPool::flushed_by_all() {
  for (auto stack : batch)
    for (size_t i = 0; i < kStackPages; ++i)
      cpu::InvalidatePage(stack + i * kPageSize);
  return unflushed.fetch_sub(1, std::memory_order_acq_rel) == 1;
}

void ebbrt::StackPool::free_batch() {
  for (auto stack : batch)
    vmem::FreeStack(stack, kStackPages);
  count.fetch_sub(kBatch, std::memory_order_relaxed);
  LockGuard guard(lock);
  returning = false;
}
