// Events of one core that wait for something to change.
#ifndef EBBRT_EVENT_WAITQUEUE_H_
#define EBBRT_EVENT_WAITQUEUE_H_

#include <cstdint>

#include "event/EventManager.h"
#include "event/Timer.h"
#include "lib/IntrusiveList.h"

namespace ebbrt {

constexpr uint64_t kNever = ~uint64_t{0};

class WaitQueue {
 public:
  // Blocks until woken (true) or until `deadline`, in ns of clock::Uptime()
  // (false).
  bool Wait(uint64_t deadline = kNever);

  void WakeOne();
  void WakeAll();
  bool empty() const { return waiters_.empty(); }

 private:
  struct Waiter final : IntrusiveListHook<WaitQueue>, Timer::Hook {
    void Fire() override;
    WaitQueue* queue;
    EventContext context;
    bool woken = false;
  };

  IntrusiveList<Waiter, WaitQueue> waiters_;
};

}  // namespace ebbrt

#endif  // EBBRT_EVENT_WAITQUEUE_H_
