// What bootable tests share. A test is an AppMain: it ends by Pass(), or by the
// report of a failed kassert or kbugon.
#ifndef EBBRT_BOOT_TESTS_SUPPORT_H_
#define EBBRT_BOOT_TESTS_SUPPORT_H_

#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "arch/DebugConsole.h"
#include "event/EventManager.h"
#include "event/WaitQueue.h"
#include "lib/Assert.h"

void AppMain();

namespace ebbrt::test {

constexpr uint64_t kMillisecond = 1000000;

[[noreturn]] inline void Pass() {
  kprintf("passed\n");
  power::Off(power::kSuccess);
}

// Says what runs, so that a failure tells where it was.
template <class Function> void Case(const char* name, Function function) {
  kprintf("case: %s\n", name);
  function();
}

// Runs `function` as an event of `core`; returns when it has ended.
template <class Function> void RunOn(unsigned core, Function function) {
  EventContext context;
  EventManager::SpawnRemote(
      [&context, &function] {
        function();
        EventManager::ActivateContext(context);
      },
      core);
  event_manager->SaveContext(context);
}

// Runs function(core) on all cores at once; returns when all have ended.
template <class Function> void RunOnAll(Function function) {
  EventContext context;
  unsigned left = cpu::Count();
  for (unsigned core = 0; core < cpu::Count(); ++core)
    EventManager::SpawnRemote(
        [&context, &function, &left, core] {
          function(core);
          if (__atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL) == 0)
            EventManager::ActivateContext(context);
        },
        core);
  event_manager->SaveContext(context);
}

// Blocks the running event.
inline void Sleep(uint64_t nanoseconds) {
  WaitQueue nobody;
  nobody.Wait(clock::Uptime() + nanoseconds);
}

}  // namespace ebbrt::test

#endif  // EBBRT_BOOT_TESTS_SUPPORT_H_
