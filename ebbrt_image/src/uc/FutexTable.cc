#include "uc/FutexTable.h"

ebbrt::Result<void> ebbrt::FutexTable::Wait(AddressSpace& space,
                                            uint64_t address, uint32_t expected,
                                            uint32_t bits, uint64_t deadline) {
  uint32_t value;
  if (!space.Read(address, value))
    return Errno::kFault;
  if (value != expected)
    return Errno::kAgain;
  Waiter waiter;
  waiter.address = address;
  waiter.bits = bits;
  waiters_.PushBack(waiter);
  waiter.queue.Wait(deadline);
  // A wake that came behind the deadline, before this event ran, counts.
  if (!waiter.linked())
    return {};
  waiters_.Erase(waiter);
  return Errno::kTimedOut;
}

unsigned ebbrt::FutexTable::Wake(uint64_t address, unsigned count,
                                 uint32_t bits) {
  unsigned woken = 0;
  for (auto at = waiters_.begin(); at != waiters_.end() && woken < count;) {
    auto& waiter = *at;
    ++at;
    if (waiter.address != address || !(waiter.bits & bits))
      continue;
    waiters_.Erase(waiter);
    waiter.queue.WakeOne();
    ++woken;
  }
  return woken;
}

unsigned ebbrt::FutexTable::Requeue(uint64_t address, uint64_t target,
                                    unsigned count) {
  unsigned moved = 0;
  for (auto& waiter : waiters_) {
    if (moved == count)
      break;
    if (waiter.address != address)
      continue;
    waiter.address = target;
    ++moved;
  }
  return moved;
}

void ebbrt::FutexTable::WakeAll() {
  while (auto* waiter = waiters_.PopFront())
    waiter->queue.WakeOne();
}
