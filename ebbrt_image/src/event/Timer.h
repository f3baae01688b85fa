// Timers of each core, on the local APIC's one-shot timer.
#ifndef EBBRT_EVENT_TIMER_H_
#define EBBRT_EVENT_TIMER_H_

#include <cstdint>

#include "ebb/EbbRef.h"
#include "ebb/MulticoreEbb.h"
#include "ebb/StaticIds.h"
#include "lib/IntrusiveList.h"

namespace ebbrt {

class Timer;
using TimerRoot = MulticoreEbbRoot<Timer>;

class Timer : public MulticoreEbb<Timer> {
 public:
  // Fire() runs with interrupts off, on the stack that was interrupted, and
  // must not block. The hook is no longer started then.
  class Hook : public IntrusiveListHook<Timer> {
   public:
    virtual void Fire() = 0;
    bool started() const { return linked(); }

   protected:
    ~Hook() = default;

   private:
    friend class Timer;
    uint64_t deadline_ = 0;
  };

  explicit Timer(TimerRoot&) {}

  static void ClassInit();

  // `deadline` in ns of clock::Uptime(). The hook belongs to this core.
  void Start(Hook& hook, uint64_t deadline);
  void Stop(Hook& hook);

  void HandleInterrupt();

 private:
  void program();

  // In order of deadlines; a core has few timers at a time.
  IntrusiveList<Hook, Timer> hooks_;
  uint64_t programmed_ = ~uint64_t{0};
};

constexpr auto timer = EbbRef<Timer>(kTimerId);

}  // namespace ebbrt

#endif  // EBBRT_EVENT_TIMER_H_
