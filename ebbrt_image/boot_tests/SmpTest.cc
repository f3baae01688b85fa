#include "Support.h"
#include "boot/BootInfo.h"
#include "mm/PageAllocator.h"
#include "mm/VMem.h"

using namespace ebbrt;

namespace {

void AllCoresRun() {
  // The runner says how many there are.
  auto expected = boot_info::NumberOption("test.cores", cpu::Count());
  kbugon(expected != cpu::Count(), "%u cores instead of %lu", cpu::Count(),
         expected);
  static bool ran[kMaxCores];
  test::RunOnAll([](unsigned core) {
    kassert(cpu::Index() == core && !ran[core]);
    ran[core] = true;
  });
  for (unsigned core = 0; core < cpu::Count(); ++core)
    kassert(ran[core]);
}

void EachHasItsData() {
  test::RunOnAll([](unsigned core) {
    auto& self = cpu::Current();
    kassert(&self == &cpu::Get(core) && self.self == &self);
    kassert(self.index == core);
    kassert(reinterpret_cast<uint64_t>(&self) == vmem::CoreRegion(core));
    kassert(self.root == vmem::Root().address() && self.root == cpu::ReadCr3());
    for (unsigned other = 0; other < core; ++other) {
      kassert(cpu::Get(other).apic_id != self.apic_id);
      kassert(cpu::Get(other).task_state.ist[0] != self.task_state.ist[0]);
    }
    uint64_t here;
    auto at = reinterpret_cast<uint64_t>(&here);
    auto top = event_manager->current_stack_top();
    kassert(at < top && at >= top - kEventStackSize);
  });
}

void EachHasItsEbbs() {
  static void* events[kMaxCores];
  static void* pages[kMaxCores];
  test::RunOnAll([](unsigned core) {
    events[core] = event_manager.Rep();
    pages[core] = page_allocator.Rep();
  });
  for (unsigned core = 0; core < cpu::Count(); ++core)
    for (unsigned other = 0; other < core; ++other)
      kassert(events[core] != events[other] && pages[core] != pages[other]);
}

// CR0.WP, CR4 and EFER are the same everywhere, since UCs rely on them.
void EachIsSetUpAlike() {
  static uint64_t cr0s[kMaxCores], cr4s[kMaxCores];
  test::RunOnAll([](unsigned core) {
    asm volatile("movq %%cr0, %0" : "=r"(cr0s[core]));
    asm volatile("movq %%cr4, %0" : "=r"(cr4s[core]));
  });
  constexpr uint64_t kWriteProtect = 1 << 16;
  for (unsigned core = 0; core < cpu::Count(); ++core) {
    kassert(cr0s[core] & kWriteProtect);
    kbugon(cr0s[core] != cr0s[0] || cr4s[core] != cr4s[0],
           "core %u: cr0 %lx cr4 %lx, core 0: %lx %lx", core, cr0s[core],
           cr4s[core], cr0s[0], cr4s[0]);
  }
}

void CoresRunAtTheSameTime() {
  static unsigned met;
  test::RunOnAll([](unsigned) {
    __atomic_add_fetch(&met, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&met, __ATOMIC_RELAXED) < cpu::Count())
      __builtin_ia32_pause();
  });
}

}  // namespace

void AppMain() {
  test::Case("all cores run", AllCoresRun);
  test::Case("data", EachHasItsData);
  test::Case("ebbs", EachHasItsEbbs);
  test::Case("control registers", EachIsSetUpAlike);
  test::Case("at the same time", CoresRunAtTheSameTime);
  test::Pass();
}
