// What waits, on one core, for something to change: events, and others.
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
  // Waits without a stack of its own.
  class Waiter : public IntrusiveListHook<WaitQueue> {
   public:
    // It is in the queue no more.
    virtual void Wake() = 0;

   protected:
    ~Waiter() = default;
  };

  // Blocks the running event until woken (true) or until `deadline`, in ns of
  // clock::Uptime() (false).
  bool Wait(uint64_t deadline = kNever);
  // Returns at once.
  void Add(Waiter& waiter) { waiters_.PushBack(waiter); }

  void WakeOne();
  void WakeAll();
  bool empty() const { return waiters_.empty(); }

 private:
  struct BlockedEvent final : Waiter, Timer::Hook {
    void Wake() override;
    void Fire() override;
    WaitQueue* queue;
    EventContext context;
    bool woken = false;
  };

  IntrusiveList<Waiter, WaitQueue> waiters_;
};

}  // namespace ebbrt

#endif  // EBBRT_EVENT_WAITQUEUE_H_
