// Waiting for several descriptors: poll, select, epoll. All look at the
// descriptors again whenever one of this UC may have changed.

#include <algorithm>

#include "files/Epoll.h"
#include "lib/Vector.h"
#include "personality/Calls.h"
#include "personality/Deadline.h"

namespace {

using namespace ebbrt;

constexpr int16_t kPollInvalid = 0x20;
constexpr uint32_t kAlways = abi::kPollError | abi::kPollHangUp;
constexpr uint32_t kReadSet =
    abi::kPollIn | abi::kPollReadNormal | abi::kPollHangUp | abi::kPollError;
constexpr uint32_t kWriteSet =
    abi::kPollOut | abi::kPollWriteNormal | abi::kPollError;
constexpr int kMaxSelect = 1024;
constexpr size_t kMaxEvents = 256;

constexpr int kEpollAdd = 1;
constexpr int kEpollRemove = 2;
constexpr int kEpollModify = 3;

struct PollEntry {
  int number;
  int16_t events;
  int16_t ready;
};
static_assert(sizeof(PollEntry) == 8);

// Waits until scan() finds something; 0 when the deadline comes first.
template <class Scan>
Answer WaitForReady(SystemCall& call, uint64_t deadline, bool at_once,
                    Scan scan) {
  auto answer = call.Wait(!at_once, deadline, [&]() -> Answer {
    Answer found = scan();
    if (found && *found == 0)
      return Errno::kAgain;
    return found;
  });
  if (!answer && answer.error() == Errno::kAgain)
    return uint64_t{0};
  return answer;
}

Answer PollUntil(SystemCall& call, uint64_t deadline, bool at_once) {
  auto count = call.argument(1);
  if (count > static_cast<uint64_t>(call.uc().limits().descriptors))
    return Errno::kInvalid;
  Vector<PollEntry> entries;
  entries.Resize(count);
  auto bytes = std::as_writable_bytes(std::span(entries.data(), count));
  if (!call.space().CopyIn(bytes, call.argument(0)))
    return Errno::kFault;
  auto answer = WaitForReady(call, deadline, at_once, [&]() -> Answer {
    uint64_t found = 0;
    for (auto& entry : entries) {
      entry.ready = 0;
      if (entry.number < 0)
        continue;
      auto descriptor = call.uc().descriptors().Get(entry.number);
      if (!descriptor)
        entry.ready = kPollInvalid;
      else
        entry.ready = static_cast<int16_t>(
            (*descriptor)->Ready() &
            (static_cast<uint16_t>(entry.events) | kAlways));
      if (entry.ready)
        ++found;
    }
    return found;
  });
  if (answer && !call.space().CopyOut(call.argument(0), bytes))
    return Errno::kFault;
  return answer;
}

struct SelectSet {
  uint64_t words[kMaxSelect / 64] = {};
  bool has(int n) const { return words[n / 64] >> n % 64 & 1; }
  void add(int n) { words[n / 64] |= uint64_t{1} << n % 64; }
};

Answer SelectUntil(SystemCall& call, uint64_t deadline, bool at_once) {
  auto count = call.integer(0);
  if (count < 0 || count > kMaxSelect)
    return Errno::kInvalid;
  auto size = static_cast<size_t>(count + 63) / 64 * 8;
  SelectSet wanted[3], found[3];
  for (unsigned i = 0; i < 3; ++i) {
    auto address = call.argument(1 + i);
    auto bytes = std::as_writable_bytes(std::span(wanted[i].words));
    if (address && !call.space().CopyIn(bytes.first(size), address))
      return Errno::kFault;
  }
  auto answer = WaitForReady(call, deadline, at_once, [&]() -> Answer {
    uint64_t total = 0;
    for (auto& set : found)
      set = SelectSet();
    for (int n = 0; n < count; ++n) {
      if (!wanted[0].has(n) && !wanted[1].has(n) && !wanted[2].has(n))
        continue;
      auto descriptor = call.uc().descriptors().Get(n);
      if (!descriptor)
        return descriptor.error();
      auto ready = (*descriptor)->Ready();
      if (wanted[0].has(n) && (ready & kReadSet)) {
        found[0].add(n);
        ++total;
      }
      if (wanted[1].has(n) && (ready & kWriteSet)) {
        found[1].add(n);
        ++total;
      }
    }
    return total;
  });
  if (!answer)
    return answer;
  for (unsigned i = 0; i < 3; ++i) {
    auto address = call.argument(1 + i);
    auto bytes = std::as_bytes(std::span(found[i].words));
    if (address && !call.space().CopyOut(address, bytes.first(size)))
      return Errno::kFault;
  }
  return answer;
}

Answer NewEpoll(SystemCall& call, int flags) {
  if (flags & ~abi::kOpenCloseOnExec)
    return Errno::kInvalid;
  auto number = call.uc().descriptors().Allocate(
      MakeRef<Epoll>(), (flags & abi::kOpenCloseOnExec) != 0);
  if (!number)
    return number.error();
  return static_cast<uint64_t>(*number);
}

Result<RefPtr<Descriptor>> GetEpoll(SystemCall& call) {
  auto set = call.uc().descriptors().Get(call.integer(0));
  if (set && (*set)->kind() != Descriptor::Kind::kEpoll)
    return Errno::kInvalid;
  return set;
}

}  // namespace

ebbrt::Answer ebbrt::personality::Poll(SystemCall& call) {
  auto milliseconds = call.integer(2);
  return PollUntil(call, DeadlineIn(milliseconds), milliseconds == 0);
}

// Signal masks change nothing, since no handler runs.
ebbrt::Answer ebbrt::personality::PollPrecise(SystemCall& call) {
  auto deadline = ReadDeadline(call, call.argument(2), kClockMonotonic, false);
  if (!deadline)
    return deadline.error();
  return PollUntil(call, *deadline, false);
}

ebbrt::Answer ebbrt::personality::Select(SystemCall& call) {
  if (!call.argument(4))
    return SelectUntil(call, kNever, false);
  int64_t time[2];
  if (!call.space().Read(call.argument(4), time))
    return Errno::kFault;
  if (time[0] < 0 || time[1] < 0)
    return Errno::kInvalid;
  constexpr int64_t kMaxMilliseconds = 0x7fffffff;
  auto milliseconds = time[0] > kMaxMilliseconds / 1000
                          ? kMaxMilliseconds
                          : time[0] * 1000 + (time[1] + 999) / 1000;
  return SelectUntil(call, DeadlineIn(static_cast<int>(milliseconds)),
                     milliseconds == 0);
}

ebbrt::Answer ebbrt::personality::SelectPrecise(SystemCall& call) {
  auto deadline = ReadDeadline(call, call.argument(4), kClockMonotonic, false);
  if (!deadline)
    return deadline.error();
  return SelectUntil(call, *deadline, false);
}

ebbrt::Answer ebbrt::personality::EpollCreate(SystemCall& call) {
  if (call.integer(0) <= 0)
    return Errno::kInvalid;
  return NewEpoll(call, 0);
}

ebbrt::Answer ebbrt::personality::EpollCreate1(SystemCall& call) {
  return NewEpoll(call, call.integer(0));
}

ebbrt::Answer ebbrt::personality::EpollControl(SystemCall& call) {
  auto set = GetEpoll(call);
  if (!set)
    return set.error();
  auto number = call.integer(2);
  auto descriptor = call.uc().descriptors().Get(number);
  if (!descriptor)
    return descriptor.error();
  auto& epoll = static_cast<Epoll&>(**set);
  abi::EpollEvent event = {};
  if (call.integer(1) != kEpollRemove &&
      !call.space().Read(call.argument(3), event))
    return Errno::kFault;
  // A thread that waits on the set has to look at the new interest.
  call.uc().io().WakeAll();
  switch (call.integer(1)) {
  case kEpollAdd:
    return Zero(epoll.Add(number, **descriptor, event));
  case kEpollModify:
    return Zero(epoll.Modify(number, **descriptor, event));
  case kEpollRemove:
    return Zero(epoll.Remove(number, **descriptor));
  default:
    return Errno::kInvalid;
  }
}

ebbrt::Answer ebbrt::personality::EpollWait(SystemCall& call) {
  auto set = GetEpoll(call);
  if (!set)
    return set.error();
  auto wanted = call.integer(2);
  if (wanted <= 0)
    return Errno::kInvalid;
  Vector<abi::EpollEvent> events;
  events.Resize(std::min<size_t>(static_cast<size_t>(wanted), kMaxEvents));
  auto milliseconds = call.integer(3);
  auto answer = WaitForReady(
      call, DeadlineIn(milliseconds), milliseconds == 0,
      [&]() -> Answer { return static_cast<Epoll&>(**set).Collect(events); });
  if (answer && *answer > 0 &&
      !call.space().CopyOut(call.argument(1),
                            std::as_bytes(std::span(events.data(), *answer))))
    return Errno::kFault;
  return answer;
}
