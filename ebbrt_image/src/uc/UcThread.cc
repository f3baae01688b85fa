#include "uc/UcThread.h"

#include <atomic>
#include <cstring>

#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "arch/DebugRegisters.h"
#include "arch/Exception.h"
#include "arch/Gdt.h"
#include "arch/Msr.h"
#include "event/Timer.h"
#include "lib/Assert.h"
#include "mm/VMem.h"
#include "uc/UnikernelContext.h"

extern "C" [[noreturn]] void EnterUser(ebbrt::TrapFrame* frame);

namespace {

constexpr uint64_t kErrorWrite = 1 << 1;
constexpr uint64_t kErrorReserved = 1 << 3;
constexpr uint64_t kErrorExecute = 1 << 4;
constexpr uint64_t kFlagsFixed = 0x2;
constexpr uint64_t kFlagsInterrupt = 0x200;
// What ring 3 may choose of its flags: CF PF AF ZF SF TF DF OF RF AC ID. RF
// lets a copy step over the breakpoint it was captured at.
constexpr uint64_t kFlagsUser = 0x250DD5;

constexpr uint64_t kFlagsResume = 0x10000;
constexpr uint64_t kVectorDebug = 1;
constexpr uint64_t kSystemCallSize = 2;  // bytes of the instruction

// Frames for the stack of a thread that starts.
constexpr uint64_t kFramesToStart =
    ebbrt::kEventStackSize / ebbrt::kPageSize + 1;

// The state that FNINIT and the default MXCSR give.
struct [[gnu::packed]] FpuImage {
  uint16_t control = 0x37F;
  char unused[22] = {};
  uint32_t mxcsr = 0x1F80;
};

// Only makes the core take an interrupt; PrepareReturn does the rest.
class SliceTimer final : public ebbrt::Timer::Hook {
 public:
  void Fire() override {}
};
SliceTimer slice_timers[ebbrt::kMaxCores];

std::atomic<uint64_t> starting;

}  // namespace

ebbrt::UcThread::UcThread(UnikernelContext& uc, uint32_t id)
    : uc_(uc), id_(id) {
  std::memset(fpu_, 0, sizeof(fpu_));
  FpuImage image;
  std::memcpy(fpu_, &image, sizeof(image));
}

ebbrt::UcThread::UcThread(UnikernelContext& uc, const ThreadState& state)
    : uc_(uc), id_(static_cast<uint32_t>(state.id)), fs_base_(state.fs_base),
      gs_base_(state.gs_base), clear_child_tid_(state.clear_child_tid),
      signal_mask_(state.signal_mask), start_frame_(state.frame) {
  std::memcpy(fpu_, state.fpu, sizeof(fpu_));
}

ebbrt::UcThread::~UcThread() {
  auto& core = cpu::Current();
  if (core.current_thread == this)
    core.current_thread = nullptr;
  if (core.slice_owner == this)
    core.slice_owner = nullptr;
  if (core.fpu_owner == this)
    core.fpu_owner = nullptr;
}

void ebbrt::UcThread::Start(const TrapFrame& frame) {
  start_frame_ = frame;
  starting.fetch_add(1, std::memory_order_relaxed);
  event_manager->Spawn([this] { run(); });
}

uint64_t ebbrt::UcThread::Starting() {
  return starting.load(std::memory_order_relaxed);
}

bool ebbrt::UcThread::CanStart(uint64_t threads, uint64_t frames) {
  return PageAllocator::UncachedFrames() >
         frames + (Starting() + threads) * kFramesToStart;
}

ebbrt::UcThread& ebbrt::UcThread::Current() {
  auto* thread = cpu::Current().current_thread;
  kassert(thread);
  return *thread;
}

ebbrt::TrapFrame& ebbrt::UcThread::frame() {
  return *(reinterpret_cast<TrapFrame*>(stack_top_) - 1);
}

void ebbrt::UcThread::set_fs_base(uint64_t address) {
  fs_base_ = address;
  msr::Write(msr::kFsBase, address);
}

void ebbrt::UcThread::set_gs_base(uint64_t address) {
  gs_base_ = address;
  msr::Write(msr::kKernelGsBase, address);
}

ebbrt::Result<ebbrt::ThreadState> ebbrt::UcThread::Capture(bool self) {
  if (call_ == Call::kCommitted)
    return Errno::kBusy;
  ThreadState state;
  // Without a stack it goes on from where it starts.
  state.frame = stack_top_ ? frame() : start_frame_;
  if (call_ == Call::kRestartable) {
    if (self)
      state.frame.rax = 0;
    else
      state.frame.rip -= kSystemCallSize;
  }
  state.fs_base = fs_base_;
  state.gs_base = gs_base_;
  state.clear_child_tid = clear_child_tid_;
  state.signal_mask = signal_mask_;
  state.id = id_;
  save_fpu();
  std::memcpy(state.fpu, fpu_, sizeof(fpu_));
  return state;
}

void ebbrt::UcThread::save_fpu() {
  if (cpu::Current().fpu_owner == this)
    asm volatile("fxsave64 %0" : "=m"(fpu_));
}

void ebbrt::UcThread::CopyRegistersTo(UcThread& child) {
  save_fpu();
  std::memcpy(child.fpu_, fpu_, sizeof(fpu_));
  child.fs_base_ = fs_base_;
  child.gs_base_ = gs_base_;
  child.signal_mask_ = signal_mask_;
}

void ebbrt::UcThread::run() {
  starting.fetch_sub(1, std::memory_order_relaxed);
  stack_top_ = event_manager->current_stack_top();
  // The frame has its place at the top, above all that runs this event.
  auto target = &frame();
  *target = start_frame_;
  target->cs = kUserCode;
  target->ss = kUserData;
  target->rflags =
      (target->rflags & kFlagsUser) | kFlagsFixed | kFlagsInterrupt;
  target->vector = kVectorSystemCall;
  PrepareReturn();
  EnterUser(target);
}

void ebbrt::UcThread::GiveWay() {
  event_manager->Yield();
  begin_slice();
}

void ebbrt::UcThread::begin_slice() {
  cpu::Current().slice_owner = this;
  slice_start_ = clock::Uptime();
}

void ebbrt::UcThread::LetOthers() {
  while (!uc_.ended()) {
    // Requests and answers of other UCs do not wait for this one's turn to
    // end; and it goes on then, because another address space costs more.
    if (event_manager->queued()) {
      event_manager->StepAside();
      continue;
    }
    auto mine = cpu::Current().slice_owner == this;
    if (!event_manager->yielded()) {
      if (!mine)
        begin_slice();
      break;
    }
    if (mine && clock::Uptime() - slice_start_ < kSlice) {
      auto& slice_timer = slice_timers[cpu::Index()];
      if (!slice_timer.started())
        timer->Start(slice_timer, slice_start_ + kSlice);
      break;
    }
    GiveWay();
  }
}

void ebbrt::UcThread::PrepareReturn() {
  LetOthers();
  if (uc_.ended())
    Exit();
  load();
}

void ebbrt::UcThread::load() {
  auto& core = cpu::Current();
  if (core.current_thread != this) {
    core.current_thread = this;
    core.kernel_stack = stack_top_;
    core.task_state.rsp[0] = stack_top_;
    msr::Write(msr::kFsBase, fs_base_);
    msr::Write(msr::kKernelGsBase, gs_base_);
  }
  auto root = uc_.space().root().address();
  if (core.root != root) {
    cpu::WriteCr3(root);
    core.root = root;
  }
  load_breakpoint();
  if (core.fpu_owner != this) {
    if (core.fpu_owner)
      asm volatile("fxsave64 %0" : "=m"(core.fpu_owner->fpu_));
    asm volatile("fxrstor64 %0" : : "m"(fpu_));
    core.fpu_owner = this;
  }
}

void ebbrt::UcThread::load_breakpoint() {
  auto& core = cpu::Current();
  auto wanted = uc_.breakpoint();
  if (core.breakpoint == wanted)
    return;
  core.breakpoint = wanted;
  debug_registers::Arm(wanted);
}

void ebbrt::UcThread::WaitAnew(WaitQueue& queue) {
  start_frame_ = frame();
  start_frame_.rip -= kSystemCallSize;
  stack_top_ = 0;
  // What is loaded for it has the old stack.
  cpu::Current().current_thread = nullptr;
  queue.Add(*this);
  event_manager->Exit();
}

void ebbrt::UcThread::Wake() {
  if (!uc_.ended() && !CanStart(1, kLeast))
    uc_.EndByMemory();
  Resume();
}

void ebbrt::UcThread::Exit() {
  if (clear_child_tid_ && !uc_.ended()) {
    uc_.space().Write(clear_child_tid_, uint32_t{0});
    uc_.futexes().Wake(clear_child_tid_, 1, FutexTable::kAnyBits);
  }
  auto& uc = uc_;
  uc.RemoveThread(*this);
  event_manager->Exit();
}

void ebbrt::uc_thread::HandleFault(TrapFrame& frame) {
  auto& uc = UcThread::Current().uc();
  if (frame.vector == kVectorDebug && debug_registers::TakeHit() &&
      uc.breakpoint()) {
    frame.rflags |= kFlagsResume;
    uc.HandleBreakpoint();
    return;
  }
  if (frame.vector != kVectorPageFault) {
    uc.EndByFault(frame, exception::Name(frame.vector), 0);
    return;
  }
  auto address = cpu::ReadCr2();
  auto result = AddressSpace::Fault::kNoAccess;
  if (!(frame.error & kErrorReserved))
    result = uc.space().HandleFault(address, frame.error & kErrorWrite,
                                    frame.error & kErrorExecute);
  if (result == AddressSpace::Fault::kNoAccess)
    uc.EndByFault(frame, "page fault", address);
  else if (result == AddressSpace::Fault::kNoMemory)
    uc.EndByMemory();
}
