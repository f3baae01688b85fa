#include "event/Timer.h"

#include "arch/Apic.h"
#include "arch/Clock.h"

namespace {

ebbrt::TimerRoot root;
constexpr uint64_t kNone = ~uint64_t{0};

}  // namespace

void ebbrt::Timer::ClassInit() {
  Create(&root, kTimerId);
}

void ebbrt::Timer::Start(Hook& hook, uint64_t deadline) {
  if (hook.started())
    hooks_.Erase(hook);
  hook.deadline_ = deadline;
  for (auto& other : hooks_) {
    if (other.deadline_ > deadline) {
      hooks_.InsertBefore(other, hook);
      program();
      return;
    }
  }
  hooks_.PushBack(hook);
  program();
}

void ebbrt::Timer::Stop(Hook& hook) {
  // An interrupt that comes for nothing costs less than programming anew.
  if (hook.started())
    hooks_.Erase(hook);
}

void ebbrt::Timer::HandleInterrupt() {
  programmed_ = kNone;
  auto now = clock::Uptime();
  while (!hooks_.empty() && hooks_.front().deadline_ <= now)
    hooks_.PopFront()->Fire();
  program();
}

void ebbrt::Timer::program() {
  if (hooks_.empty())
    return;
  auto first = hooks_.front().deadline_;
  if (first >= programmed_)
    return;
  programmed_ = first;
  auto now = clock::Uptime();
  apic::StartTimer(first > now ? first - now : 0);
}
