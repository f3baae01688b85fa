#include "event/WaitQueue.h"

bool ebbrt::WaitQueue::Wait(uint64_t deadline) {
  Waiter waiter;
  waiter.queue = this;
  waiters_.PushBack(waiter);
  if (deadline != kNever)
    timer->Start(waiter, deadline);
  event_manager->SaveContext(waiter.context);
  return waiter.woken;
}

void ebbrt::WaitQueue::WakeOne() {
  auto* waiter = waiters_.PopFront();
  if (!waiter)
    return;
  timer->Stop(*waiter);
  waiter->woken = true;
  EventManager::ActivateContext(waiter->context);
}

void ebbrt::WaitQueue::WakeAll() {
  while (!empty())
    WakeOne();
}

void ebbrt::WaitQueue::Waiter::Fire() {
  queue->waiters_.Erase(*this);
  EventManager::ActivateContext(context);
}
