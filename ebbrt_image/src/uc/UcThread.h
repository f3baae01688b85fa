// A thread of a UC. In the kernel it is an event: its kernel stack is the
// event's stack, with the registers of ring 3 at the top. While it waits to
// make a call anew it has none.
#ifndef EBBRT_UC_UCTHREAD_H_
#define EBBRT_UC_UCTHREAD_H_

#include <cstdint>

#include "arch/TrapFrame.h"
#include "event/EventManager.h"
#include "event/WaitQueue.h"
#include "lib/IntrusiveList.h"
#include "lib/Result.h"
#include "mm/KernelFrames.h"
#include "uc/ThreadState.h"

namespace ebbrt {

class UnikernelContext;

class UcThread final : public IntrusiveListHook<UcThread>,
                       private WaitQueue::Waiter {
 public:
  UcThread(UnikernelContext& uc, uint32_t id);
  // A thread as it was captured; Resume starts it.
  UcThread(UnikernelContext& uc, const ThreadState& state);
  ~UcThread();

  // Queues the thread to start with these registers.
  void Start(const TrapFrame& frame);
  void Resume() { Start(start_frame_); }

  // What a snapshot needs of this thread. kBusy while it is in the middle of a
  // transfer that cannot be made anew. `self`: the thread itself asks for the
  // snapshot, by a call (which gives 0 in copies) or at a breakpoint.
  Result<ThreadState> Capture(bool self);

  // Brackets of a system call: in between, the call can be made anew.
  void EnterCall() { call_ = Call::kRestartable; }
  void LeaveCall() { call_ = Call::kNone; }
  // A part of the call is done for good.
  void CommitCall() { call_ = Call::kCommitted; }

  // Threads of all UCs that were started and did not run yet: each will take a
  // stack.
  static uint64_t Starting();
  // Whether there are `frames` beside what those and `threads` more will take.
  static bool CanStart(uint64_t threads, uint64_t frames);
  // Of the kernel's own frames, one call keeps less than this for itself.
  static constexpr uint64_t kLeast = kKernelReserve / 2;

  // The thread that entered the kernel last on this core.
  static UcThread& Current();

  UnikernelContext& uc() { return uc_; }
  uint32_t id() const { return id_; }
  TrapFrame& frame();

  uint64_t fs_base() const { return fs_base_; }
  void set_fs_base(uint64_t address);
  // For a thread that does not run yet: nothing is loaded.
  void InitFsBase(uint64_t address) { fs_base_ = address; }
  uint64_t gs_base() const { return gs_base_; }
  void set_gs_base(uint64_t address);
  void set_clear_child_tid(uint64_t address) { clear_child_tid_ = address; }
  uint64_t signal_mask() const { return signal_mask_; }
  void set_signal_mask(uint64_t mask) { signal_mask_ = mask; }

  // Registers of a thread that clone() makes from this one.
  void CopyRegistersTo(UcThread& child);

  // Lets others run as long as it is their turn.
  void LetOthers();
  // To be called last on the way to ring 3: lets others run, ends the thread if
  // its UC ended, and loads its state.
  void PrepareReturn();
  // Lets all others run first.
  void GiveWay();

  // Gives the running thread's stack up until `queue` is woken; then it makes
  // its system call anew. Nobody may count on what is on the stack.
  [[noreturn]] void WaitAnew(WaitQueue& queue);

  // Ends the running thread.
  [[noreturn]] void Exit();

 private:
  static constexpr uint64_t kSlice = 5000000;  // ns

  enum class Call { kNone, kRestartable, kCommitted };

  void Wake() override;
  void run();
  void begin_slice();
  void load();
  void load_breakpoint();
  void save_fpu();

  UnikernelContext& uc_;
  uint32_t id_;
  uint64_t stack_top_ = 0;
  uint64_t fs_base_ = 0;
  uint64_t gs_base_ = 0;
  uint64_t clear_child_tid_ = 0;
  uint64_t signal_mask_ = 0;
  uint64_t slice_start_ = 0;
  Call call_ = Call::kNone;
  TrapFrame start_frame_ = {};
  alignas(16) std::byte fpu_[ThreadState::kFpuSize];
};

namespace uc_thread {

// An exception in ring 3.
void HandleFault(TrapFrame& frame);

}  // namespace uc_thread

}  // namespace ebbrt

#endif  // EBBRT_UC_UCTHREAD_H_
