#include "event/Timer.h"

#include "Support.h"
#include "lib/Vector.h"

using namespace ebbrt;
using test::kMillisecond;

namespace {

class Recorder final : public Timer::Hook {
 public:
  void Fire() override {
    kassert(!started());
    kbugon(clock::Uptime() < deadline, "timer fired early");
    core = cpu::Index();
    ++fired;
    if (order)
      order->PushBack(id);
    if (repeat > 0) {
      --repeat;
      Begin(kMillisecond);
    }
  }
  void Begin(uint64_t delay) {
    deadline = clock::Uptime() + delay;
    timer->Start(*this, deadline);
  }

  int id = 0;
  int fired = 0;
  int repeat = 0;
  unsigned core = ~0u;
  uint64_t deadline = 0;
  Vector<int>* order = nullptr;
};

void FiresInOrderOfDeadlines() {
  constexpr int kDelays[] = {8, 2, 6, 4, 10};
  constexpr int kExpected[] = {1, 3, 2, 0, 4};
  Recorder hooks[5];
  Vector<int> order;
  order.Reserve(5);
  auto now = clock::Uptime();
  for (int i = 0; i < 5; ++i) {
    hooks[i].id = i;
    hooks[i].order = &order;
    hooks[i].deadline = now + static_cast<uint64_t>(kDelays[i]) * kMillisecond;
    timer->Start(hooks[i], hooks[i].deadline);
    kassert(hooks[i].started());
  }
  while (order.size() < 5)
    test::Sleep(kMillisecond);
  for (size_t i = 0; i < 5; ++i)
    kassert(order[i] == kExpected[i]);
}

void EqualDeadlinesKeepTheirOrder() {
  Recorder hooks[4];
  Vector<int> order;
  order.Reserve(4);
  auto deadline = clock::Uptime() + 2 * kMillisecond;
  for (int i = 0; i < 4; ++i) {
    hooks[i].id = i;
    hooks[i].order = &order;
    hooks[i].deadline = deadline;
    timer->Start(hooks[i], deadline);
  }
  test::Sleep(4 * kMillisecond);
  kassert(order.size() == 4);
  for (int i = 0; i < 4; ++i)
    kassert(order[static_cast<size_t>(i)] == i);
}

void StoppedTimersDoNotFire() {
  Recorder stopped, kept;
  stopped.Begin(2 * kMillisecond);
  kept.Begin(3 * kMillisecond);
  timer->Stop(stopped);
  kassert(!stopped.started());
  timer->Stop(stopped);
  test::Sleep(6 * kMillisecond);
  kassert(stopped.fired == 0 && kept.fired == 1);
}

// Also to an earlier and to a later time than it had.
void StartMovesATimer() {
  Recorder hook;
  hook.Begin(1000 * kMillisecond);
  hook.Begin(2 * kMillisecond);
  test::Sleep(5 * kMillisecond);
  kassert(hook.fired == 1);
  hook.Begin(1 * kMillisecond);
  hook.Begin(10 * kMillisecond);
  test::Sleep(3 * kMillisecond);
  while (!hook.fired)
    test::Sleep(kMillisecond);
  while (hook.fired < 2)
    test::Sleep(kMillisecond);
  kassert(clock::Uptime() >= hook.deadline);
}

void PastDeadlineFiresSoon() {
  Recorder hook;
  timer->Start(hook, 1);
  test::Sleep(kMillisecond);
  kassert(hook.fired == 1);
}

void FireMayStartAgain() {
  Recorder hook;
  hook.repeat = 5;
  hook.Begin(kMillisecond);
  while (hook.fired < 6)
    test::Sleep(kMillisecond);
  test::Sleep(3 * kMillisecond);
  kassert(hook.fired == 6);
}

void EachCoreHasItsTimers() {
  Recorder hooks[kMaxCores];
  test::RunOnAll([&hooks](unsigned core) {
    hooks[core].Begin((1 + core) * kMillisecond);
    while (!hooks[core].fired)
      event_manager->Yield();
    kassert(hooks[core].core == core);
  });
}

uint64_t ShortestSleep(uint64_t delay) {
  auto best = ~uint64_t{0};
  for (int i = 0; i < 8; ++i) {
    auto start = clock::Uptime();
    test::Sleep(delay);
    auto took = clock::Uptime() - start;
    if (took < best)
      best = took;
  }
  return best;
}

// The host may stop us at any time, so the best of several tries counts.
void DelaysKeepTheirRatio() {
  auto brief = ShortestSleep(4 * kMillisecond);
  auto longer = ShortestSleep(16 * kMillisecond);
  kprintf("4 ms took %lu us, 16 ms took %lu us\n", brief / 1000, longer / 1000);
  kassert(brief >= 4 * kMillisecond && longer >= 16 * kMillisecond);
  kassert(longer > 2 * brief && longer < 8 * brief);
}

}  // namespace

void AppMain() {
  test::Case("order", FiresInOrderOfDeadlines);
  test::Case("equal deadlines", EqualDeadlinesKeepTheirOrder);
  test::Case("stop", StoppedTimersDoNotFire);
  test::Case("start again", StartMovesATimer);
  test::Case("past deadline", PastDeadlineFiresSoon);
  test::Case("start in fire", FireMayStartAgain);
  test::Case("cores", EachCoreHasItsTimers);
  test::Case("ratio", DelaysKeepTheirRatio);
  test::Pass();
}
