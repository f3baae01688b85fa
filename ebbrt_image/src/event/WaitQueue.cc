#include "event/WaitQueue.h"

bool ebbrt::WaitQueue::Wait(uint64_t deadline) {
  BlockedEvent waiter;
  waiter.queue = this;
  waiters_.PushBack(waiter);
  if (deadline != kNever)
    timer->Start(waiter, deadline);
  event_manager->SaveContext(waiter.context);
  return waiter.woken;
}

void ebbrt::WaitQueue::WakeOne() {
  auto* waiter = waiters_.PopFront();
  if (waiter)
    waiter->Wake();
}

void ebbrt::WaitQueue::WakeAll() {
  while (!empty())
    WakeOne();
}

void ebbrt::WaitQueue::BlockedEvent::Wake() {
  timer->Stop(*this);
  woken = true;
  EventManager::ActivateContext(context);
}

void ebbrt::WaitQueue::BlockedEvent::Fire() {
  queue->waiters_.Erase(*this);
  EventManager::ActivateContext(context);
}
