#include "uc/UnikernelContext.h"

#include <cstdarg>

#include "arch/Clock.h"
#include "arch/DebugConsole.h"
#include "entropy/Entropy.h"
#include "files/Device.h"
#include "lib/Format.h"
#include "uc/ElfLoader.h"
#include "uc/OutputStream.h"

namespace {

constexpr int kChannelNumber = 3;
constexpr uint64_t kMaxFiles = 4096;
constexpr std::string_view kExecutable = "/bin/python";
constexpr uint64_t kMillisecond = 1000000;

void FillRandom(std::span<std::byte> bytes) {
  ebbrt::entropy->Read(bytes);
}

}  // namespace

const char* ebbrt::Name(EndKind kind) {
  switch (kind) {
  case EndKind::kExit:
    return "exit";
  case EndKind::kFault:
    return "fault";
  case EndKind::kBadCall:
    return "bad-call";
  case EndKind::kMemoryLimit:
    return "memory-limit";
  case EndKind::kTimeout:
    return "timeout";
  }
  kabort("no such end");
}

ebbrt::UnikernelContext::UnikernelContext(uint32_t id, const UcLimits& limits,
                                          const Archive& archive,
                                          UcObserver& observer)
    : id_(id), limits_(limits), archive_(archive), observer_(observer),
      space_(limits.frames),
      files_(MakeRef<FileSystem>(
          archive,
          MakeRef<TmpStorage>(tmp_pages_, &clock::Wall,
                              TmpStorage::Limits{limits.tmp_pages, kMaxFiles}),
          &FillRandom, kExecutable)),
      directory_(files_->root()), descriptors_(limits.descriptors),
      channel_(MakeRef<Channel>(*this)), run_timer_(*this) {
  auto install = [this](int number, RefPtr<Descriptor> descriptor) {
    auto set = descriptors_.Set(number, std::move(descriptor), false);
    kbugon(!set, "no room for descriptor %d", number);
  };
  install(0, MakeRef<NullDevice>(abi::kOpenReadOnly));
  install(1, MakeRef<OutputStream>(*this, FrameType::kStdout));
  install(2, MakeRef<OutputStream>(*this, FrameType::kStderr));
  install(kChannelNumber, channel_);
}

ebbrt::UnikernelContext::~UnikernelContext() {
  kbugon(thread_count_ != 0, "UC %u dies with %u threads", id_, thread_count_);
  timer->Stop(run_timer_);
}

ebbrt::Result<void>
ebbrt::UnikernelContext::Start(std::string_view path,
                               std::span<const std::string_view> arguments,
                               std::span<const std::string_view> environment) {
  if (!space_.valid())
    return Errno::kNoMemory;
  ElfLoader loader(space_, archive_);
  auto program = loader.Load(path, arguments, environment);
  if (!program)
    return program.error();
  break_start_ = break_end_ = program->break_start;
  TrapFrame frame = {};
  frame.rip = program->entry;
  frame.rsp = program->stack;
  auto* thread = AddThread();
  if (!thread)
    return Errno::kAgain;
  thread->Start(frame);
  return {};
}

ebbrt::UcThread* ebbrt::UnikernelContext::AddThread() {
  if (ended_ || thread_count_ >= limits_.threads)
    return nullptr;
  auto* thread = new UcThread(*this, next_thread_id_++);
  threads_.PushBack(*thread);
  ++thread_count_;
  return thread;
}

void ebbrt::UnikernelContext::RemoveThread(UcThread& thread) {
  threads_.Erase(thread);
  delete &thread;
  if (--thread_count_ > 0)
    return;
  if (!ended_)
    End(EndKind::kExit, "all threads have ended");
  // Not from the stack of the thread that is going.
  event_manager->Spawn([this] { observer_.ContextEnded(*this); });
}

void ebbrt::UnikernelContext::BeginRequest(uint64_t id, uint32_t limit_ms) {
  request_ = id;
  request_limit_ms_ = limit_ms;
  timer->Stop(run_timer_);
  if (limit_ms)
    timer->Start(run_timer_, clock::Uptime() + limit_ms * kMillisecond);
}

void ebbrt::UnikernelContext::EndRequest(uint64_t id) {
  if (id != request_)
    return;
  request_ = 0;
  timer->Stop(run_timer_);
}

void ebbrt::UnikernelContext::End(EndKind kind, const char* format, ...) {
  if (ended_)
    return;
  ended_ = true;
  end_kind_ = kind;
  va_list arguments;
  va_start(arguments, format);
  VFormatTo(end_message_, format, arguments);
  va_end(arguments);
  kprintf("uc %u: %s: %s\n", id_, Name(kind), end_message_);
  timer->Stop(run_timer_);
  futexes_.WakeAll();
  io_.WakeAll();
  sleepers_.WakeAll();
}

void ebbrt::UnikernelContext::EndByFault(const TrapFrame& frame,
                                         const char* what, uint64_t address) {
  if (frame.vector == kVectorPageFault)
    End(EndKind::kFault, "%s at rip 0x%lx: %s of address 0x%lx", what,
        frame.rip,
        frame.error & 16  ? "execution"
        : frame.error & 2 ? "write"
                          : "read",
        address);
  else
    End(EndKind::kFault, "%s at rip 0x%lx (error 0x%lx)", what, frame.rip,
        frame.error);
}

void ebbrt::UnikernelContext::EndByMemory() {
  End(EndKind::kMemoryLimit,
      "out of memory: %lu KiB of its own in use, limit %lu KiB, %lu KiB free "
      "in the node",
      space_.owned_frames() * kPageSize / 1024,
      limits_.frames > PageAllocator::TotalFrames()
          ? PageAllocator::TotalFrames() * kPageSize / 1024
          : limits_.frames * kPageSize / 1024,
      PageAllocator::FreeFrames() * kPageSize / 1024);
}

bool ebbrt::UnikernelContext::FirstRefusal(uint64_t number) {
  if (number >= kRefusalWords * 64)
    return false;
  auto& word = refused_[number / 64];
  auto bit = uint64_t{1} << number % 64;
  auto first = !(word & bit);
  word |= bit;
  return first;
}

void ebbrt::UnikernelContext::RunTimer::Fire() {
  uc_.End(EndKind::kTimeout, "the time limit of %u ms is over",
          uc_.request_limit_ms_);
}
