#include "uc/UnikernelContext.h"

#include <cstdarg>

#include "arch/Clock.h"
#include "arch/DebugConsole.h"
#include "files/Device.h"
#include "lib/Format.h"
#include "uc/ConsoleRole.h"
#include "uc/ElfLoader.h"
#include "uc/OutputStream.h"

namespace {

constexpr int kChannelNumber = 3;
constexpr uint64_t kMillisecond = 1000000;

bool FilesFit(const ebbrt::UcFiles& files) {
  return ebbrt::PageAllocator::UncachedFrames() >
         ebbrt::kKernelReserve + files.BufferFrames();
}

// Puts what needs no UC in place of the consoles of a captured one.
class PrototypeConsoles final : public ebbrt::ConsoleFactory {
 public:
  ebbrt::RefPtr<ebbrt::Descriptor>
  CloneConsole(const ebbrt::Descriptor& source) override {
    auto& console = static_cast<const ebbrt::ConsoleDescriptor&>(source);
    return ebbrt::MakeRef<ebbrt::ConsolePrototype>(console.role(),
                                                   console.flags());
  }
};

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
  case EndKind::kStopped:
    return "stopped";
  }
  kabort("no such end");
}

ebbrt::UnikernelContext::UnikernelContext(uint32_t id, const UcLimits& limits,
                                          const Archive& archive,
                                          UcObserver& observer)
    : id_(id), limits_(limits), archive_(archive), observer_(observer),
      space_(limits.frames), consoles_(*this),
      channel_(MakeRef<Channel>(*this)), network_(*this),
      files_(archive, {limits.tmp_pages, limits.descriptors}, &space_),
      run_timer_(*this) {
  auto install = [this](int number, RefPtr<Descriptor> descriptor) {
    auto set = descriptors().Set(number, std::move(descriptor), false);
    kbugon(!set, "no room for descriptor %d", number);
  };
  install(0, MakeRef<NullDevice>(abi::kOpenReadOnly));
  install(1, MakeRef<OutputStream>(*this, FrameType::kStdout));
  install(2, MakeRef<OutputStream>(*this, FrameType::kStderr));
  install(kChannelNumber, channel_);
}

ebbrt::UnikernelContext::UnikernelContext(uint32_t id, const UcLimits& limits,
                                          const Archive& archive,
                                          UcObserver& observer,
                                          RefPtr<Snapshot> origin)
    : id_(id), limits_(limits), archive_(archive), observer_(observer),
      origin_(std::move(origin)), space_(limits.frames, origin_->memory()),
      consoles_(*this), channel_(MakeRef<Channel>(*this)), network_(*this),
      files_(*origin_->state().files, consoles_, &space_), deployed_(true),
      run_timer_(*this) {
  const auto& state = origin_->state();
  break_start_ = state.break_start;
  break_end_ = state.break_end;
  next_thread_id_ = state.next_thread_id;
  channel_->Inherit(state.ready, state.serving);
  space_.set_buffer_frames(files_.BufferFrames());
  for (const auto& thread : state.threads) {
    threads_.PushBack(*new UcThread(*this, thread));
    ++thread_count_;
  }
}

bool ebbrt::UnikernelContext::HasRoomFor(const Snapshot& snapshot) {
  const auto& state = snapshot.state();
  return UcThread::CanStart(state.threads.size(),
                            kKernelReserve + state.files->BufferFrames());
}

ebbrt::UnikernelContext::~UnikernelContext() {
  // Threads of a UC that was deployed but never resumed have no stack yet.
  while (!resumed_ && thread_count_ > 0) {
    delete threads_.PopFront();
    --thread_count_;
  }
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
  resumed_ = true;
  thread->Start(frame);
  return {};
}

void ebbrt::UnikernelContext::HandleBreakpoint() {
  breakpoint_ = 0;
  observer_.BreakpointHit(*this, UcThread::Current());
}

void ebbrt::UnikernelContext::Resume() {
  resumed_ = true;
  for (auto& thread : threads_)
    thread.Resume();
}

ebbrt::Result<ebbrt::RefPtr<ebbrt::Snapshot>>
ebbrt::UnikernelContext::Capture(uint32_t snapshot_id, UcThread* self) {
  if (ended_ || (!self && (serving_ || channel_->waiting())))
    return Errno::kBusy;
  // Its own snapshots are not counted among its memory, so it gets only a few.
  if (self && self_captures_ == kMaxSelfCaptures)
    return Errno::kNoSpace;
  if (!FilesFit(files_))
    return Errno::kNoMemory;
  UcState state;
  for (auto& thread : threads_) {
    auto captured = thread.Capture(&thread == self);
    if (!captured)
      return captured.error();
    state.threads.PushBack(*captured);
  }
  state.break_start = break_start_;
  state.break_end = break_end_;
  state.next_thread_id = next_thread_id_;
  state.ready = channel_->ready();
  state.serving = serving_ || channel_->answers_original();
  state.signals = signals();
  learn_writes();
  answered_ = 0;
  PrototypeConsoles prototypes;
  state.files = std::make_unique<UcFiles>(files_, prototypes, nullptr);
  auto memory = space_.Capture();
  if (!memory)
    return Errno::kNoMemory;
  if (self)
    ++self_captures_;
  origin_ = MakeRef<Snapshot>(snapshot_id, std::move(origin_),
                              std::move(memory), std::move(state));
  signals_ = nullptr;
  return origin_;
}

ebbrt::RefPtr<ebbrt::Descriptor>
ebbrt::UnikernelContext::Consoles::CloneConsole(const Descriptor& source) {
  switch (static_cast<const ConsolePrototype&>(source).role()) {
  case ConsoleRole::kOutput:
    return MakeRef<OutputStream>(uc_, FrameType::kStdout);
  case ConsoleRole::kErrors:
    return MakeRef<OutputStream>(uc_, FrameType::kStderr);
  case ConsoleRole::kChannel:
    return uc_.channel_;
  }
  kabort("no such console");
}

ebbrt::UcThread* ebbrt::UnikernelContext::AddThread() {
  if (ended_ || thread_count_ >= limits_.threads ||
      !UcThread::CanStart(1, UcThread::kLeast))
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

void ebbrt::UnikernelContext::DescriptorsChanged() {
  space_.set_buffer_frames(files_.BufferFrames());
  io_.WakeAll();
}

void ebbrt::UnikernelContext::BeginRequest(
    const FrameHeader& header, std::unique_ptr<NetworkRights> rights) {
  kassert(!serving_);
  learn_writes();
  serving_ = true;
  network_.set_rights(std::move(rights));
  request_ = header;
  if (header.time)
    timer->Start(run_timer_, clock::Uptime() + header.time * kMillisecond);
}

void ebbrt::UnikernelContext::EndRequest() {
  kassert(serving_);
  observer_.RequestEnded(*this);
  serving_ = false;
  // A context that stays idle, or a copy of it, may have lost them since.
  network_.set_rights(nullptr);
  ++answered_;
  timer->Stop(run_timer_);
  // The next request may be read now.
  io_.WakeAll();
}

void ebbrt::UnikernelContext::learn_writes() {
  if (!origin_ || answered_ != 1)
    return;
  // Once: what comes later adds up.
  ++answered_;
  origin_->LearnWrites([this](auto visit) { space_.ForEachWritten(visit); });
}

void ebbrt::UnikernelContext::End(EndKind kind, const char* format, ...) {
  if (ended_)
    return;
  if (kind == EndKind::kStopped && !serving_)
    learn_writes();
  ended_ = true;
  end_kind_ = kind;
  va_list arguments;
  va_start(arguments, format);
  VFormatTo(end_message_, format, arguments);
  va_end(arguments);
  if (kind != EndKind::kStopped)
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
      space_.own_frames() * kPageSize / 1024,
      limits_.frames > PageAllocator::TotalFrames()
          ? PageAllocator::TotalFrames() * kPageSize / 1024
          : limits_.frames * kPageSize / 1024,
      PageAllocator::FreeFrames() * kPageSize / 1024);
}

const ebbrt::SignalActions& ebbrt::UnikernelContext::signals() const {
  static constinit const SignalActions kDefaults;
  if (signals_)
    return *signals_;
  return origin_ ? origin_->state().signals : kDefaults;
}

void ebbrt::UnikernelContext::SetSignal(unsigned signal,
                                        const SignalAction& action) {
  if (!signals_)
    signals_ = std::make_unique<SignalActions>(signals());
  (*signals_)[signal] = action;
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
          uc_.request_.time);
}
