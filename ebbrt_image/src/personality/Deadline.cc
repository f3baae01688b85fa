#include "personality/Deadline.h"

#include "arch/Clock.h"

namespace {

constexpr int64_t kSecond = 1000000000;
constexpr uint64_t kMillisecond = 1000000;
// Longer waits are as good as for ever, and cannot overflow.
constexpr int64_t kMaxSeconds = int64_t{1} << 32;

}  // namespace

ebbrt::Result<uint64_t> ebbrt::personality::ReadDeadline(SystemCall& call,
                                                         uint64_t address,
                                                         int clock,
                                                         bool absolute) {
  if (!address)
    return kNever;
  abi::TimeSpec time;
  if (!call.space().Read(address, time))
    return Errno::kFault;
  if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= kSecond)
    return Errno::kInvalid;
  if (time.seconds >= kMaxSeconds)
    return kNever;
  auto nanoseconds =
      static_cast<uint64_t>(time.seconds * kSecond + time.nanoseconds);
  auto now = clock::Uptime();
  if (!absolute)
    return now + nanoseconds;
  if (clock != kClockRealtime)
    return nanoseconds;
  auto wall = clock::Wall();
  return nanoseconds > wall ? now + (nanoseconds - wall) : now;
}

uint64_t ebbrt::personality::DeadlineIn(int milliseconds) {
  if (milliseconds < 0)
    return kNever;
  return clock::Uptime() + static_cast<uint64_t>(milliseconds) * kMillisecond;
}
