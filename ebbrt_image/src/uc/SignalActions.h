// Disposition of each signal, as rt_sigaction gets and sets it.
#ifndef EBBRT_UC_SIGNALACTIONS_H_
#define EBBRT_UC_SIGNALACTIONS_H_

#include <cstdint>

namespace ebbrt {

struct SignalAction {
  uint64_t handler = 0;
  uint64_t flags = 0;
  uint64_t restorer = 0;
  uint64_t mask = 0;
};
static_assert(sizeof(SignalAction) == 32);

class SignalActions {
 public:
  static constexpr unsigned kSignals = 64;

  // Signals count from 1.
  SignalAction& operator[](unsigned signal) { return actions_[signal - 1]; }
  const SignalAction& operator[](unsigned signal) const {
    return actions_[signal - 1];
  }

 private:
  SignalAction actions_[kSignals];
};

}  // namespace ebbrt

#endif  // EBBRT_UC_SIGNALACTIONS_H_
