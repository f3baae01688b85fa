// One system call of a UC, and the table of those that exist.
//
// Every number of the Linux x86-64 ABI is either implemented, or answered with
// the error that tells programs to do without, or refused with kNoSystemCall
// and a line in the log: never silently wrong.
#ifndef EBBRT_PERSONALITY_SYSTEMCALL_H_
#define EBBRT_PERSONALITY_SYSTEMCALL_H_

#include <cstdint>
#include <string_view>

#include "event/WaitQueue.h"
#include "lib/Result.h"
#include "lib/String.h"
#include "uc/UnikernelContext.h"

namespace ebbrt {

using Answer = Result<uint64_t>;

class SystemCall {
 public:
  SystemCall(UcThread& thread, TrapFrame& frame)
      : thread_(thread), frame_(frame) {}

  UcThread& thread() { return thread_; }
  UnikernelContext& uc() { return thread_.uc(); }
  AddressSpace& space() { return uc().space(); }
  TrapFrame& frame() { return frame_; }

  uint64_t number() const { return frame_.rax; }
  uint64_t argument(unsigned index) const;
  int integer(unsigned index) const {
    return static_cast<int>(argument(index));
  }
  int64_t wide(unsigned index) const {
    return static_cast<int64_t>(argument(index));
  }

  // A path argument: kFault, or kNameTooLong.
  Result<String> Path(unsigned index);

  // Copies a struct to the UC's memory.
  template <class T> Answer Give(unsigned index, const T& value) {
    if (!space().Write(argument(index), value))
      return Errno::kFault;
    return uint64_t{0};
  }

  // False if the UC's memory limit leaves no room for so many bytes in a pipe
  // or socket; others take none.
  bool MayBuffer(const Descriptor& descriptor, uint64_t bytes);

  // Between the pieces of a call of any length, after `bytes` more of it: now
  // and then timers fire and other events run. False once the UC has ended.
  bool GoOn(uint64_t bytes);

  // Calls attempt() until it answers something else than kAgain, waiting for
  // descriptors in between. `deadline` as in WaitQueue; kAgain when it passes.
  template <class Attempt>
  Answer Wait(bool may_wait, uint64_t deadline, Attempt attempt) {
    for (;;) {
      Answer answer = attempt();
      if (answer || answer.error() != Errno::kAgain || !may_wait)
        return answer;
      if (uc().ended())
        return Errno::kInterrupted;
      if (!uc().io().Wait(deadline))
        return attempt();
    }
  }

 private:
  // Some milliseconds of the slowest call, under emulation.
  static constexpr uint64_t kUnbroken = 64 << 10;

  UcThread& thread_;
  TrapFrame& frame_;
  uint64_t unbroken_ = 0;  // bytes since others could run
};

// Moves between a result without a value and an answer of 0.
inline Answer Zero(const Result<void>& result) {
  if (!result)
    return result.error();
  return uint64_t{0};
}

namespace personality {

using Handler = Answer (*)(SystemCall&);

// What is known of a call number.
struct Kind {
  Handler handler = nullptr;  // null: refused
  bool allocates = false;     // makes the kernel keep something for the UC
};

// Greater numbers are none of the Linux ABI.
constexpr uint64_t kNumbers = 512;

// `number` is below kNumbers.
Kind Find(uint64_t number);

}  // namespace personality

}  // namespace ebbrt

#endif  // EBBRT_PERSONALITY_SYSTEMCALL_H_
