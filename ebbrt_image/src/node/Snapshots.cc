#include "node/Snapshots.h"

uint32_t ebbrt::Snapshots::NextNumber() {
  LockGuard guard(lock_);
  return ++last_number_;
}

void ebbrt::Snapshots::Add(RefPtr<Snapshot> snapshot) {
  LockGuard guard(lock_);
  auto number = snapshot->id();
  snapshots_.Insert(number, std::move(snapshot));
}

ebbrt::RefPtr<ebbrt::Snapshot> ebbrt::Snapshots::Find(uint32_t number) {
  LockGuard guard(lock_);
  auto* snapshot = snapshots_.Find(number);
  return snapshot ? *snapshot : nullptr;
}

bool ebbrt::Snapshots::Evict(uint32_t number) {
  // Dropped outside the lock: it may be the last reference, and then much has
  // to be freed.
  RefPtr<Snapshot> held;
  {
    LockGuard guard(lock_);
    auto* snapshot = snapshots_.Find(number);
    if (!snapshot)
      return false;
    held = std::move(*snapshot);
    snapshots_.Erase(number);
  }
  return true;
}
