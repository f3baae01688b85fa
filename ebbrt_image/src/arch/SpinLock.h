// Ticket-free test-and-set lock; holders never block and never take faults.
#ifndef EBBRT_ARCH_SPINLOCK_H_
#define EBBRT_ARCH_SPINLOCK_H_

#include <atomic>

namespace ebbrt {

class SpinLock {
 public:
  void Lock() {
    while (held_.exchange(true, std::memory_order_acquire)) {
      while (held_.load(std::memory_order_relaxed))
        __builtin_ia32_pause();
    }
  }
  void Unlock() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

class LockGuard {
 public:
  explicit LockGuard(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
  ~LockGuard() { lock_.Unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace ebbrt

#endif  // EBBRT_ARCH_SPINLOCK_H_
