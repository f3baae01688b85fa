#include "personality/SystemCall.h"

#include <algorithm>
#include <cstring>

#include "arch/DebugConsole.h"
#include "files/Abi.h"
#include "files/ByteChannel.h"

uint64_t ebbrt::SystemCall::argument(unsigned index) const {
  switch (index) {
  case 0:
    return frame_.rdi;
  case 1:
    return frame_.rsi;
  case 2:
    return frame_.rdx;
  case 3:
    return frame_.r10;
  case 4:
    return frame_.r8;
  default:
    return frame_.r9;
  }
}

bool ebbrt::SystemCall::MayBuffer(const Descriptor& descriptor,
                                  uint64_t bytes) {
  if (descriptor.kind() != Descriptor::Kind::kPipe &&
      descriptor.kind() != Descriptor::Kind::kSocket)
    return true;
  auto most = std::min<uint64_t>(bytes, ByteChannel::kCapacity);
  return space().HasRoom(PageUp(most) / kPageSize);
}

bool ebbrt::SystemCall::GoOn(uint64_t bytes) {
  unbroken_ += bytes;
  if (unbroken_ < kUnbroken)
    return true;
  unbroken_ = 0;
  // What is done cannot be done again.
  thread_.CommitCall();
  event_manager->StepAside();
  thread_.LetOthers();
  return !uc().ended();
}

ebbrt::Result<ebbrt::String> ebbrt::SystemCall::Path(unsigned index) {
  String path;
  bool ended = false;
  auto read = space().ForEachPiece(
      argument(index), abi::kMaxPath, [&](std::span<const std::byte> piece) {
        auto* text = reinterpret_cast<const char*>(piece.data());
        size_t length = 0;
        while (length < piece.size() && text[length])
          ++length;
        ended = length < piece.size();
        path.Append(std::string_view(text, length));
        return !ended;
      });
  if (ended)
    return path;
  return read ? Errno::kNameTooLong : Errno::kFault;
}

namespace {

// One call keeps less than this of the kernel's reserve for itself.
constexpr size_t kScarce = ebbrt::kKernelReserve / 2;

ebbrt::Answer Dispatch(ebbrt::SystemCall& call) {
  using namespace ebbrt;
  auto& uc = call.uc();
  if (call.number() >= personality::kNumbers) {
    uc.End(EndKind::kBadCall, "system call %ld is not of the Linux ABI",
           static_cast<int64_t>(call.number()));
    return Errno::kNoSystemCall;
  }
  auto kind = personality::Find(call.number());
  if (!kind.handler) {
    if (uc.FirstRefusal(call.number()))
      kprintf("uc %u: system call %lu refused\n", uc.id(), call.number());
    return Errno::kNoSystemCall;
  }
  if (kind.allocates && PageAllocator::UncachedFrames() < kScarce)
    return Errno::kNoMemory;
  return kind.handler(call);
}

}  // namespace

extern "C" void HandleSystemCall(ebbrt::TrapFrame* frame) {
  using namespace ebbrt;
  auto& thread = UcThread::Current();
  SystemCall call(thread, *frame);
  thread.EnterCall();
  auto answer = Dispatch(call);
  thread.LeaveCall();
  if (!answer && answer.error() == Errno::kRestart)
    thread.WaitAnew(thread.uc().io());
  frame->rax =
      answer ? *answer
             : static_cast<uint64_t>(-static_cast<int64_t>(answer.error()));
  thread.PrepareReturn();
}
