// What the guest `witness` is asked (guests/witness.c).
#ifndef EBBRT_BOOT_TESTS_WITNESS_H_
#define EBBRT_BOOT_TESTS_WITNESS_H_

#include "TalkingRunner.h"

namespace ebbrt::test::witness {

enum Command : uint64_t {
  kCheck = 1,
  kMark = 2,
  kFinish = 3,
  kSelf = 4,
  kStep = 5,
  kTouch = 6,
  kShuffle = 7,
  kShuffled = 8,
  kFlood = 9,
  kDrain = 10,
  kReply = 11,
};

constexpr uint64_t Of(Command command, uint64_t argument = 0) {
  return command | argument << 8;
}

inline void Check(TalkingRunner& runner, uint64_t mark) {
  runner.Ask(Of(kCheck, mark));
}

inline void Finish(TalkingRunner& runner, int status) {
  runner.Request(Of(kFinish, static_cast<uint64_t>(status)), 0);
  ExpectStatus(runner.Wait(), status);
}

// A snapshot of it at rest; the original is gone.
inline SnapshotRef Base() {
  TalkingRunner original({"witness"});
  auto base = original.Take();
  Check(original, 0);
  Finish(original, 3);
  return base;
}

// A copy that is asked to check everything, and ends.
inline void CheckCopy(const SnapshotRef& snapshot, uint64_t mark) {
  TalkingRunner copy(snapshot);
  Check(copy, mark);
  Finish(copy, 3);
}

}  // namespace ebbrt::test::witness

#endif  // EBBRT_BOOT_TESTS_WITNESS_H_
