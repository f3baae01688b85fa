// Threads of one UC that wait on words of its memory.
#ifndef EBBRT_UC_FUTEXTABLE_H_
#define EBBRT_UC_FUTEXTABLE_H_

#include <cstdint>

#include "event/WaitQueue.h"
#include "lib/IntrusiveList.h"
#include "lib/Result.h"
#include "uc/AddressSpace.h"

namespace ebbrt {

class FutexTable {
 public:
  static constexpr uint32_t kAnyBits = ~uint32_t{0};

  // Blocks while the word at `address` holds `expected`, until woken or until
  // `deadline`. kAgain if the word differs, kTimedOut, or kFault.
  Result<void> Wait(AddressSpace& space, uint64_t address, uint32_t expected,
                    uint32_t bits, uint64_t deadline);

  // Wakes at most `count`; returns how many.
  unsigned Wake(uint64_t address, unsigned count, uint32_t bits);

  // Lets at most `count` others wait at `target` instead.
  unsigned Requeue(uint64_t address, uint64_t target, unsigned count);

  void WakeAll();

 private:
  struct Waiter : IntrusiveListHook<FutexTable> {
    uint64_t address;
    uint32_t bits;
    WaitQueue queue;
  };

  IntrusiveList<Waiter, FutexTable> waiters_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_FUTEXTABLE_H_
