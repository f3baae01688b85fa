// Descriptor numbers, and descriptors without names.

#include "files/EventFd.h"
#include "files/Pipe.h"
#include "personality/Calls.h"

namespace {

using namespace ebbrt;

constexpr int kDuplicate = 0;
constexpr int kGetDescriptorFlags = 1;
constexpr int kSetDescriptorFlags = 2;
constexpr int kGetStatusFlags = 3;
constexpr int kSetStatusFlags = 4;
constexpr int kDuplicateCloseOnExec = 1030;
constexpr int kCloseOnExec = 1;

constexpr uint64_t kTerminalAttributes = 0x5401;
constexpr uint64_t kWindowSize = 0x5413;
constexpr uint64_t kBytesReadable = 0x541b;
constexpr uint64_t kNonBlocking = 0x5421;
constexpr uint64_t kNoCloseOnExec = 0x5450;
constexpr uint64_t kSetCloseOnExec = 0x5451;

constexpr int kEventSemaphore = 1;

Answer Number(const Result<int>& number) {
  if (!number)
    return number.error();
  return static_cast<uint64_t>(*number);
}

Answer NewPipe(SystemCall& call, int flags) {
  if (flags & ~(abi::kOpenNonBlock | abi::kOpenCloseOnExec))
    return Errno::kInvalid;
  auto& table = call.uc().descriptors();
  auto close_on_exec = (flags & abi::kOpenCloseOnExec) != 0;
  auto pipe = ebbrt::MakePipe(flags & abi::kOpenNonBlock);
  auto reader = table.Allocate(pipe.reader, close_on_exec);
  if (!reader)
    return reader.error();
  auto writer = table.Allocate(pipe.writer, close_on_exec);
  if (!writer) {
    static_cast<void>(table.Close(*reader));
    return writer.error();
  }
  const int numbers[2] = {*reader, *writer};
  auto answer = call.Give(0, numbers);
  if (!answer) {
    static_cast<void>(table.Close(*reader));
    static_cast<void>(table.Close(*writer));
  }
  return answer;
}

Answer NewEvent(SystemCall& call, int flags) {
  if (flags & ~(abi::kOpenNonBlock | abi::kOpenCloseOnExec | kEventSemaphore))
    return Errno::kInvalid;
  auto event = MakeRef<ebbrt::EventFd>(static_cast<uint32_t>(call.argument(0)),
                                       (flags & kEventSemaphore) != 0,
                                       flags & abi::kOpenNonBlock);
  return Number(call.uc().descriptors().Allocate(
      event, (flags & abi::kOpenCloseOnExec) != 0));
}

}  // namespace

// The other end of a pipe or socket may be waiting.
ebbrt::Answer ebbrt::personality::Close(SystemCall& call) {
  auto answer = Zero(call.uc().descriptors().Close(call.integer(0)));
  call.uc().DescriptorsChanged();
  return answer;
}

ebbrt::Answer ebbrt::personality::CloseRange(SystemCall& call) {
  auto first = static_cast<unsigned>(call.argument(0));
  auto last = static_cast<unsigned>(call.argument(1));
  if (first > last || call.integer(2) != 0)
    return Errno::kInvalid;
  call.uc().descriptors().CloseRange(first, last);
  call.uc().DescriptorsChanged();
  return uint64_t{0};
}

ebbrt::Answer ebbrt::personality::Duplicate(SystemCall& call) {
  return Number(call.uc().descriptors().Duplicate(call.integer(0), false));
}

ebbrt::Answer ebbrt::personality::Duplicate2(SystemCall& call) {
  auto number =
      call.uc().descriptors().DuplicateTo(call.integer(0), call.integer(1));
  call.uc().DescriptorsChanged();
  return Number(number);
}

ebbrt::Answer ebbrt::personality::Duplicate3(SystemCall& call) {
  if (call.integer(2) & ~abi::kOpenCloseOnExec)
    return Errno::kInvalid;
  auto number = call.uc().descriptors().DuplicateTo(
      call.integer(0), call.integer(1),
      (call.integer(2) & abi::kOpenCloseOnExec) != 0);
  call.uc().DescriptorsChanged();
  return Number(number);
}

// Locks (F_SETLK) and owners are refused.
ebbrt::Answer ebbrt::personality::Control(SystemCall& call) {
  auto& table = call.uc().descriptors();
  auto number = call.integer(0);
  auto descriptor = table.Get(number);
  if (!descriptor)
    return descriptor.error();
  switch (call.integer(1)) {
  case kDuplicate:
  case kDuplicateCloseOnExec:
    return Number(table.Duplicate(
        number, call.integer(1) == kDuplicateCloseOnExec, call.integer(2)));
  case kGetDescriptorFlags: {
    auto close_on_exec = table.close_on_exec(number);
    if (!close_on_exec)
      return close_on_exec.error();
    return uint64_t{*close_on_exec ? kCloseOnExec : 0u};
  }
  case kSetDescriptorFlags:
    return Zero(
        table.set_close_on_exec(number, (call.integer(2) & kCloseOnExec) != 0));
  case kGetStatusFlags:
    return static_cast<uint64_t>((*descriptor)->flags());
  case kSetStatusFlags:
    (*descriptor)->set_flags(call.integer(2));
    return uint64_t{0};
  default:
    return Errno::kInvalid;
  }
}

// There are no terminals.
ebbrt::Answer ebbrt::personality::DeviceControl(SystemCall& call) {
  auto& table = call.uc().descriptors();
  auto number = call.integer(0);
  auto descriptor = table.Get(number);
  if (!descriptor)
    return descriptor.error();
  switch (call.argument(1)) {
  case kBytesReadable: {
    auto available = (*descriptor)->Available();
    if (!available)
      return available.error();
    return call.Give(2, static_cast<int>(*available));
  }
  case kNonBlocking: {
    int on;
    if (!call.space().Read(call.argument(2), on))
      return Errno::kFault;
    auto flags = (*descriptor)->flags() & ~abi::kOpenNonBlock;
    (*descriptor)->set_flags(flags | (on ? abi::kOpenNonBlock : 0));
    return uint64_t{0};
  }
  case kNoCloseOnExec:
  case kSetCloseOnExec:
    return Zero(
        table.set_close_on_exec(number, call.argument(1) == kSetCloseOnExec));
  case kTerminalAttributes:
  case kWindowSize:
  default:
    return Errno::kNotTerminal;
  }
}

ebbrt::Answer ebbrt::personality::Pipe(SystemCall& call) {
  return NewPipe(call, 0);
}

ebbrt::Answer ebbrt::personality::Pipe2(SystemCall& call) {
  return NewPipe(call, call.integer(1));
}

ebbrt::Answer ebbrt::personality::EventFd(SystemCall& call) {
  return NewEvent(call, 0);
}

ebbrt::Answer ebbrt::personality::EventFd2(SystemCall& call) {
  return NewEvent(call, call.integer(1));
}
