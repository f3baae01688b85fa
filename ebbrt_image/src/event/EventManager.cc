#include "event/EventManager.h"

#include "arch/Apic.h"
#include "arch/Cpu.h"
#include "arch/Idt.h"
#include "lib/Assert.h"

extern "C" {
bool SaveRegisters(uint64_t* registers) __attribute__((returns_twice));
[[noreturn]] void ResumeRegisters(const uint64_t* registers);
[[noreturn]] void CallOnStack(uint64_t top, void (*function)());
}

namespace {

ebbrt::EventManagerRoot root;

}  // namespace

class ebbrt::EventManager::FunctionTask final : public Task {
 public:
  explicit FunctionTask(MovableFunction<void()> function)
      : function_(std::move(function)) {}

  void Run() override {
    // The event may end by Exit() or block for long: free the node first.
    auto function = std::move(function_);
    delete this;
    function();
  }

 private:
  MovableFunction<void()> function_;
};

void ebbrt::EventContext::Run() {
  auto& manager = *event_manager;
  // We still stand on the loop's stack; nobody takes it before we left it.
  manager.free_stack(manager.stack_);
  manager.stack_ = stack_;
  ResumeRegisters(registers_);
}

ebbrt::EventManager::EventManager(EventManagerRoot&) {}

void ebbrt::EventManager::ClassInit() {
  Create(&root, kEventManagerId);
}

ebbrt::EventManager* ebbrt::EventManager::Rep() {
  return event_manager.Rep();
}

void ebbrt::EventManager::Start() {
  stack_ = allocate_stack();
  enter_loop();
}

void ebbrt::EventManager::Spawn(MovableFunction<void()> function) {
  queue_.PushBack(*new FunctionTask(std::move(function)));
}

void ebbrt::EventManager::SpawnRemote(MovableFunction<void()> function,
                                      unsigned core) {
  QueueRemote(*new FunctionTask(std::move(function)), core);
}

void ebbrt::EventManager::QueueRemote(Task& task, unsigned core) {
  auto* manager = root.rep(core);
  kbugon(!manager, "core %u runs no events", core);
  manager->take_from_other_core(task, core);
}

void ebbrt::EventManager::SaveContext(EventContext& context) {
  kassert(context.core_ == cpu::Index());
  context.stack_ = stack_;
  if (SaveRegisters(context.registers_))
    return;
  stack_ = allocate_stack();
  enter_loop();
}

void ebbrt::EventManager::ActivateContext(EventContext& context) {
  if (context.core_ == cpu::Index()) {
    event_manager->queue_.PushBack(context);
    return;
  }
  root.rep(context.core_)->take_from_other_core(context, context.core_);
}

void ebbrt::EventManager::take_from_other_core(Task& task, unsigned core) {
  {
    LockGuard guard(remote_lock_);
    auto first = remote_queue_.empty();
    remote_queue_.PushBack(task);
    // Who put the first one there has sent an interrupt.
    if (!first)
      return;
  }
  apic::SendInterrupt(cpu::Get(core).apic_id, idt::kVectorRemoteWork);
}

void ebbrt::EventManager::Yield() {
  EventContext context;
  yielded_.PushBack(context);
  SaveContext(context);
}

void ebbrt::EventManager::StepAside() {
  EventContext context;
  yielded_.PushFront(context);
  SaveContext(context);
}

void ebbrt::EventManager::Exit() {
  enter_loop();
}

void ebbrt::EventManager::LoopEntry() {
  event_manager->loop();
}

void ebbrt::EventManager::enter_loop() {
  CallOnStack(current_stack_top() - kUserFrameSize, &LoopEntry);
}

void ebbrt::EventManager::loop() {
  for (;;) {
    // The window: what is pending is taken here, on this stack.
    asm volatile("sti; nop; cli" : : : "memory");
    take_remote();
    auto* task = queue_.PopFront();
    if (!task)
      task = yielded_.PopFront();
    if (task) {
      task->Run();
      continue;
    }
    // STI holds interrupts off for one instruction, so none is lost.
    asm volatile("sti; hlt; cli" : : : "memory");
  }
}

void ebbrt::EventManager::take_remote() {
  LockGuard guard(remote_lock_);
  while (auto* task = remote_queue_.PopFront())
    queue_.PushBack(*task);
}

uint64_t ebbrt::EventManager::allocate_stack() {
  return free_stacks_ ? pop_free_stack() : StackPool::Take();
}

uint64_t ebbrt::EventManager::pop_free_stack() {
  auto stack = free_stacks_;
  free_stacks_ = *reinterpret_cast<uint64_t*>(stack);
  --free_stack_count_;
  return stack;
}

void ebbrt::EventManager::free_stack(uint64_t stack) {
  if (free_stack_count_ == kKeptStacks)
    StackPool::Put(pop_free_stack());
  *reinterpret_cast<uint64_t*>(stack) = free_stacks_;
  free_stacks_ = stack;
  ++free_stack_count_;
}
