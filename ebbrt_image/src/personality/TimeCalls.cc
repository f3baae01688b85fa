// Clocks and sleeping. Most reads of the clock go through the vDSO instead.

#include "arch/Clock.h"
#include "personality/Calls.h"
#include "personality/Deadline.h"

namespace {

using namespace ebbrt;

constexpr uint64_t kSecond = 1000000000;
constexpr int kClockCount = 12;
constexpr int kClockRealtimeCoarse = 5;
constexpr int kTimerAbsolute = 1;
constexpr uint64_t kTicks = kSecond / 100;

struct TimeVal {
  int64_t seconds;
  int64_t microseconds;
};

abi::TimeSpec ToTimeSpec(uint64_t nanoseconds) {
  return {static_cast<int64_t>(nanoseconds / kSecond),
          static_cast<int64_t>(nanoseconds % kSecond)};
}

Answer SleepUntil(SystemCall& call, uint64_t deadline) {
  while (clock::Uptime() < deadline) {
    if (call.uc().ended())
      return Errno::kInterrupted;
    call.uc().sleepers().Wait(deadline);
  }
  return uint64_t{0};
}

}  // namespace

// CPU-time clocks (2, 3) show the uptime: a UC has the core while it runs.
ebbrt::Answer ebbrt::personality::ClockTime(SystemCall& call) {
  auto clock = call.integer(0);
  if (clock < 0 || clock >= kClockCount)
    return Errno::kInvalid;
  auto wall = clock == kClockRealtime || clock == kClockRealtimeCoarse;
  return call.Give(1, ToTimeSpec(wall ? clock::Wall() : clock::Uptime()));
}

ebbrt::Answer ebbrt::personality::ClockResolution(SystemCall& call) {
  if (call.integer(0) < 0 || call.integer(0) >= kClockCount)
    return Errno::kInvalid;
  if (!call.argument(1))
    return uint64_t{0};
  return call.Give(1, ToTimeSpec(1));
}

ebbrt::Answer ebbrt::personality::ClockSleep(SystemCall& call) {
  if (!call.argument(2))
    return Errno::kFault;
  auto deadline = ReadDeadline(call, call.argument(2), call.integer(0),
                               (call.integer(1) & kTimerAbsolute) != 0);
  if (!deadline)
    return deadline.error();
  return SleepUntil(call, *deadline);
}

ebbrt::Answer ebbrt::personality::Sleep(SystemCall& call) {
  if (!call.argument(0))
    return Errno::kFault;
  auto deadline = ReadDeadline(call, call.argument(0), kClockMonotonic, false);
  if (!deadline)
    return deadline.error();
  return SleepUntil(call, *deadline);
}

ebbrt::Answer ebbrt::personality::TimeOfDay(SystemCall& call) {
  auto now = clock::Wall();
  return call.Give(0, TimeVal{static_cast<int64_t>(now / kSecond),
                              static_cast<int64_t>(now % kSecond / 1000)});
}

ebbrt::Answer ebbrt::personality::Seconds(SystemCall& call) {
  auto seconds = clock::Wall() / kSecond;
  if (call.argument(0) && !call.space().Write(call.argument(0), seconds))
    return Errno::kFault;
  return seconds;
}

ebbrt::Answer ebbrt::personality::Times(SystemCall& call) {
  auto ticks = clock::Uptime() / kTicks;
  const uint64_t times[4] = {ticks, 0, 0, 0};
  if (call.argument(0) && !call.space().Write(call.argument(0), times))
    return Errno::kFault;
  return ticks;
}
