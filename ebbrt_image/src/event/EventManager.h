// The event loop of each core. Events run to completion with interrupts off;
// one that blocks saves its context, and the loop goes on on another stack.
//
// Order: device interrupts, then queued events, then events that made way for
// others, then halting until the next interrupt. Ring 3 is part of an event: a
// UC's thread is an event that leaves for ring 3 and comes back by system call,
// fault or interrupt.
#ifndef EBBRT_EVENT_EVENTMANAGER_H_
#define EBBRT_EVENT_EVENTMANAGER_H_

#include <cstdint>

#include "arch/SpinLock.h"
#include "arch/TrapFrame.h"
#include "ebb/EbbRef.h"
#include "ebb/MulticoreEbb.h"
#include "ebb/StaticIds.h"
#include "event/MovableFunction.h"
#include "event/StackPool.h"
#include "lib/IntrusiveList.h"

namespace ebbrt {

// At the top of each stack: the registers of ring 3, if the event is a UC's
// thread. What runs the event lies below.
constexpr size_t kUserFrameSize = sizeof(TrapFrame);
static_assert(kUserFrameSize % 16 == 0);

// Work in a core's queue.
class Task : public IntrusiveListHook<> {
 public:
  virtual void Run() = 0;

 protected:
  ~Task() = default;
};

// A blocked event. It resumes on the core where it blocked.
class EventContext final : public Task {
 public:
  void Run() override;
  unsigned core() const { return core_; }

 private:
  friend class EventManager;
  uint64_t registers_[8];
  uint64_t stack_ = 0;
  // From the start: another core may activate it before it has blocked.
  unsigned core_ = cpu::Index();
};

class EventManager;
using EventManagerRoot = MulticoreEbbRoot<EventManager>;

class EventManager : public MulticoreEbb<EventManager> {
 public:
  explicit EventManager(EventManagerRoot&);

  static void ClassInit();

  // Enters the loop of this core for good.
  [[noreturn]] void Start();

  // Queues an event behind all others of this core.
  void Spawn(MovableFunction<void()> function);
  // Queues an event on another core and wakes it.
  static void SpawnRemote(MovableFunction<void()> function, unsigned core);

  // Queues work on another core and wakes it; nothing is allocated.
  static void QueueRemote(Task& task, unsigned core);

  // Runs function() as an event of another core and blocks until it is done.
  template <class F> static void CallRemote(F function, unsigned core) {
    EventContext context;
    SpawnRemote(
        [&function, &context] {
          function();
          ActivateContext(context);
        },
        core);
    Rep()->SaveContext(context);
  }

  // Blocks the running event until somebody activates the context.
  void SaveContext(EventContext& context);
  // Queues a blocked event to go on. Call on any core.
  static void ActivateContext(EventContext& context);

  // Lets everything that is queued run first, what yielded before included.
  void Yield();
  // Lets what is queued run first, but nothing that yielded.
  void StepAside();

  // Ends the running event from anywhere inside it.
  [[noreturn]] void Exit();

  // True if something is queued on this core, by other cores too.
  bool queued() const { return !queue_.empty() || !remote_queue_.empty(); }
  // True if events of this core wait that yielded.
  bool yielded() const { return !yielded_.empty(); }
  uint64_t current_stack_top() const { return stack_ + kEventStackSize; }

 private:
  friend class EventContext;
  class FunctionTask;

  // Free stacks that a core keeps for itself.
  static constexpr size_t kKeptStacks = 8;

  // The rep of this core.
  static EventManager* Rep();

  static void LoopEntry();
  // Runs the loop from the bottom of the present stack.
  [[noreturn]] void enter_loop();
  [[noreturn]] void loop();
  // Queues work of another core here, on core `core`, and wakes it.
  void take_from_other_core(Task& task, unsigned core);
  void take_remote();
  uint64_t allocate_stack();
  uint64_t pop_free_stack();
  // The running event may still stand on it until it jumps to another.
  void free_stack(uint64_t stack);

  IntrusiveList<Task> queue_;
  IntrusiveList<Task> yielded_;
  SpinLock remote_lock_;
  IntrusiveList<Task> remote_queue_;
  uint64_t stack_ = 0;
  // Each holds the address of the next.
  uint64_t free_stacks_ = 0;
  size_t free_stack_count_ = 0;
};

constexpr auto event_manager = EbbRef<EventManager>(kEventManagerId);

}  // namespace ebbrt

#endif  // EBBRT_EVENT_EVENTMANAGER_H_
