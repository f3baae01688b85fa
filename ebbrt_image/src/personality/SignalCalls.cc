// Signals. Handlers are remembered but never run: nothing in a UC sends one
// but the UC itself, and then the default action decides.

#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr uint64_t kMaskSize = 8;
constexpr uint64_t kDefault = 0;
constexpr uint64_t kIgnore = 1;
constexpr int kSignalKill = 9;
constexpr int kSignalStop = 19;
constexpr int kSignalChild = 17;
constexpr int kSignalContinue = 18;
constexpr int kSignalUrgent = 23;
constexpr int kSignalWindow = 28;

constexpr int kBlock = 0;
constexpr int kUnblock = 1;
constexpr int kSetMask = 2;

bool IgnoredByDefault(int signal) {
  return signal == kSignalChild || signal == kSignalContinue ||
         signal == kSignalUrgent || signal == kSignalWindow;
}

Answer Send(SystemCall& call, int signal) {
  if (signal == 0)
    return uint64_t{0};
  if (signal < 0 || signal > static_cast<int>(SignalActions::kSignals))
    return Errno::kInvalid;
  auto handler = call.uc().signals()[static_cast<unsigned>(signal)].handler;
  if (handler == kIgnore || (handler == kDefault && IgnoredByDefault(signal)))
    return uint64_t{0};
  // Running handlers is not offered, and saying that it worked would be wrong.
  if (handler != kDefault && signal != kSignalKill)
    return Errno::kNoSystemCall;
  call.uc().End(EndKind::kExit, "killed by its own signal %d", signal);
  return uint64_t{0};
}

}  // namespace

ebbrt::Answer ebbrt::personality::SignalAction(SystemCall& call) {
  auto signal = call.integer(0);
  if (signal < 1 || signal > static_cast<int>(SignalActions::kSignals) ||
      call.argument(3) != kMaskSize)
    return Errno::kInvalid;
  auto number = static_cast<unsigned>(signal);
  auto old = call.uc().signals()[number];
  if (call.argument(1)) {
    ebbrt::SignalAction action;
    if (signal == kSignalKill || signal == kSignalStop)
      return Errno::kInvalid;
    if (!call.space().Read(call.argument(1), action))
      return Errno::kFault;
    call.uc().SetSignal(number, action);
  }
  if (call.argument(2) && !call.space().Write(call.argument(2), old))
    return Errno::kFault;
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::SignalMask(SystemCall& call) {
  if (call.argument(3) != kMaskSize)
    return Errno::kInvalid;
  auto old = call.thread().signal_mask();
  if (call.argument(1)) {
    uint64_t set;
    if (!call.space().Read(call.argument(1), set))
      return Errno::kFault;
    switch (call.integer(0)) {
    case kBlock:
      call.thread().set_signal_mask(old | set);
      break;
    case kUnblock:
      call.thread().set_signal_mask(old & ~set);
      break;
    case kSetMask:
      call.thread().set_signal_mask(set);
      break;
    default:
      return Errno::kInvalid;
    }
  }
  if (call.argument(2) && !call.space().Write(call.argument(2), old))
    return Errno::kFault;
  return uint64_t{0};
}

// No handler runs, so no stack for one is needed; none is reported either.
ebbrt::Answer ebbrt::personality::AlternateStack(SystemCall& call) {
  struct {
    uint64_t address = 0;
    uint64_t flags = 2;  // SS_DISABLE
    uint64_t size = 0;
  } none;
  if (call.argument(1))
    return call.Give(1, none);
  return uint64_t{0};
}

// A UC is process 1; there is nobody else to signal.
ebbrt::Answer ebbrt::personality::Kill(SystemCall& call) {
  auto process = call.integer(0);
  if (process != 1 && process != 0 && process != -1)
    return Errno::kNoProcess;
  return Send(call, call.integer(1));
}

// tkill(thread, signal) and tgkill(process, thread, signal).
ebbrt::Answer ebbrt::personality::ThreadKill(SystemCall& call) {
  constexpr uint64_t kThreadGroupKill = 234;
  return Send(call, call.integer(call.number() == kThreadGroupKill ? 2 : 1));
}
