// Times as system calls give them, turned into deadlines on the kernel's clock.
#ifndef EBBRT_PERSONALITY_DEADLINE_H_
#define EBBRT_PERSONALITY_DEADLINE_H_

#include "personality/SystemCall.h"

namespace ebbrt::personality {

constexpr int kClockRealtime = 0;
constexpr int kClockMonotonic = 1;

// A struct timespec at `address`; kNever if the address is 0. Relative times
// count from now, absolute ones are of `clock`. kFault or kInvalid.
Result<uint64_t> ReadDeadline(SystemCall& call, uint64_t address, int clock,
                              bool absolute);

// A deadline `milliseconds` from now; kNever if negative.
uint64_t DeadlineIn(int milliseconds);

}  // namespace ebbrt::personality

#endif  // EBBRT_PERSONALITY_DEADLINE_H_
