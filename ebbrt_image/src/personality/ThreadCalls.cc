// Threads and what they wait on. All threads of a UC share one core.

#include <climits>

#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "personality/Calls.h"
#include "personality/Deadline.h"

namespace {

using namespace ebbrt;

constexpr uint64_t kCloneThread = 0x10000;
constexpr uint64_t kCloneMemory = 0x100;
constexpr uint64_t kCloneSetTls = 0x80000;
constexpr uint64_t kCloneParentSetId = 0x100000;
constexpr uint64_t kCloneChildClearId = 0x200000;
constexpr uint64_t kCloneChildSetId = 0x1000000;

constexpr int kFutexCommandMask = 0x7f;
constexpr int kFutexClockRealtime = 0x100;
constexpr int kFutexWait = 0;
constexpr int kFutexWake = 1;
constexpr int kFutexRequeue = 3;
constexpr int kFutexCompareRequeue = 4;
constexpr int kFutexWaitBits = 9;
constexpr int kFutexWakeBits = 10;

constexpr int kArchSetGs = 0x1001;
constexpr int kArchSetFs = 0x1002;
constexpr int kArchGetFs = 0x1003;
constexpr int kArchGetGs = 0x1004;

constexpr uint64_t kRobustListSize = 24;

}  // namespace

// Only the form that makes a thread: shared memory and CLONE_THREAD.
ebbrt::Answer ebbrt::personality::Clone(SystemCall& call) {
  auto flags = call.argument(0);
  if (!(flags & kCloneThread) || !(flags & kCloneMemory))
    return Errno::kNoSystemCall;
  if ((flags & kCloneSetTls) && call.argument(4) >= AddressSpace::kHighest)
    return Errno::kPerm;
  auto* child = call.uc().AddThread();
  if (!child)
    return Errno::kAgain;
  call.thread().CopyRegistersTo(*child);
  // set_fs_base would load it on this core, which the caller still uses.
  if (flags & kCloneSetTls)
    child->InitFsBase(call.argument(4));
  if (flags & kCloneChildClearId)
    child->set_clear_child_tid(call.argument(3));
  auto id = child->id();
  if (flags & kCloneParentSetId)
    call.space().Write(call.argument(2), id);
  if (flags & kCloneChildSetId)
    call.space().Write(call.argument(3), id);
  auto frame = call.frame();
  frame.rax = 0;
  if (call.argument(1))
    frame.rsp = call.argument(1);
  child->Start(frame);
  return uint64_t{id};
}

ebbrt::Answer ebbrt::personality::ExitThread(SystemCall& call) {
  if (call.uc().thread_count() == 1)
    return ExitGroup(call);
  call.thread().Exit();
}

ebbrt::Answer ebbrt::personality::ExitGroup(SystemCall& call) {
  call.uc().End(EndKind::kExit, "exit status %d", call.integer(0) & 0xff);
  call.thread().Exit();
}

// Priority inheritance and robust futexes are not offered.
ebbrt::Answer ebbrt::personality::Futex(SystemCall& call) {
  auto address = call.argument(0);
  auto operation = call.integer(1);
  auto value = static_cast<uint32_t>(call.argument(2));
  auto& futexes = call.uc().futexes();
  if (address % 4 != 0)
    return Errno::kInvalid;
  auto command = operation & kFutexCommandMask;
  switch (command) {
  case kFutexWait:
  case kFutexWaitBits: {
    auto bits = command == kFutexWait ? FutexTable::kAnyBits
                                      : static_cast<uint32_t>(call.argument(5));
    if (bits == 0)
      return Errno::kInvalid;
    auto clock =
        operation & kFutexClockRealtime ? kClockRealtime : kClockMonotonic;
    auto deadline =
        ReadDeadline(call, call.argument(3), clock, command == kFutexWaitBits);
    if (!deadline)
      return deadline.error();
    auto waited = futexes.Wait(call.space(), address, value, bits, *deadline);
    return Zero(waited);
  }
  case kFutexWake:
    return uint64_t{futexes.Wake(address, value, FutexTable::kAnyBits)};
  case kFutexWakeBits:
    return uint64_t{
        futexes.Wake(address, value, static_cast<uint32_t>(call.argument(5)))};
  case kFutexCompareRequeue:
  case kFutexRequeue: {
    uint32_t word;
    if (!call.space().Read(address, word))
      return Errno::kFault;
    if (command == kFutexCompareRequeue &&
        word != static_cast<uint32_t>(call.argument(5)))
      return Errno::kAgain;
    auto woken = futexes.Wake(address, value, FutexTable::kAnyBits);
    auto moved = futexes.Requeue(address, call.argument(4),
                                 static_cast<unsigned>(call.argument(3)));
    return uint64_t{woken + moved};
  }
  default:
    return Errno::kNoSystemCall;
  }
}

ebbrt::Answer ebbrt::personality::ThreadId(SystemCall& call) {
  return uint64_t{call.thread().id()};
}

ebbrt::Answer ebbrt::personality::SetClearThreadId(SystemCall& call) {
  call.thread().set_clear_child_tid(call.argument(0));
  return uint64_t{call.thread().id()};
}

// Threads of a UC die together or by their own call, so nobody ever needs the
// list; glibc only wants to hear that it is known.
ebbrt::Answer ebbrt::personality::SetRobustList(SystemCall& call) {
  if (call.argument(1) != kRobustListSize)
    return Errno::kInvalid;
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::ArchitectureControl(SystemCall& call) {
  auto address = call.argument(1);
  auto& thread = call.thread();
  switch (call.integer(0)) {
  case kArchSetFs:
  case kArchSetGs:
    if (address >= AddressSpace::kHighest)
      return Errno::kPerm;
    if (call.integer(0) == kArchSetFs)
      thread.set_fs_base(address);
    else
      thread.set_gs_base(address);
    return uint64_t{0};
  case kArchGetFs:
    return call.Give(1, thread.fs_base());
  case kArchGetGs:
    return call.Give(1, thread.gs_base());
  default:
    return Errno::kInvalid;
  }
}

// A UC has one core.
ebbrt::Answer ebbrt::personality::Affinity(SystemCall& call) {
  uint64_t mask = 1;
  if (call.argument(1) < sizeof(mask))
    return Errno::kInvalid;
  if (!call.space().Write(call.argument(2), mask))
    return Errno::kFault;
  return uint64_t{sizeof(mask)};
}

ebbrt::Answer ebbrt::personality::SetAffinity(SystemCall&) {
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::YieldCore(SystemCall& call) {
  call.thread().GiveWay();
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::CurrentCore(SystemCall& call) {
  uint32_t zero = 0;
  if ((call.argument(0) && !call.space().Write(call.argument(0), zero)) ||
      (call.argument(1) && !call.space().Write(call.argument(1), zero)))
    return Errno::kFault;
  return uint64_t{0};
}
