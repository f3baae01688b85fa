#include <cstdint>

#include "arch/Apic.h"
#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "arch/DebugConsole.h"
#include "arch/Idt.h"
#include "arch/Port.h"
#include "boot/BootInfo.h"
#include "boot/Smp.h"
#include "entropy/Entropy.h"
#include "event/EventManager.h"
#include "event/Timer.h"
#include "mm/PageAllocator.h"
#include "mm/VMem.h"

// What the image is for: the node, or a bootable test.
void AppMain();

extern "C" {
extern void (*const init_array_start[])();
extern void (*const init_array_end[])();
void KernelMain(uint32_t start_info);
}

namespace {

// q35 has the old interrupt controllers; all their lines are masked.
void DisableLegacyInterrupts() {
  ebbrt::port::Out8(0x21, 0xFF);
  ebbrt::port::Out8(0xA1, 0xFF);
}

}  // namespace

void KernelMain(uint32_t start_info) {
  using namespace ebbrt;
  for (auto constructor = init_array_start; constructor < init_array_end;
       ++constructor)
    (*constructor)();
  idt::Init();
  boot_info::Init(start_info);
  auto command_line = boot_info::CommandLine();
  kprintf("boot: %.*s\n", static_cast<int>(command_line.size()),
          command_line.data());
  PageAllocator::ClassInit();
  vmem::ClassInit();
  DisableLegacyInterrupts();
  apic::Init();
  cpu::Init(0, apic::Id());
  clock::ClassInit();
  EventManager::ClassInit();
  Timer::ClassInit();
  Entropy::ClassInit();
  event_manager->Spawn([] {
    smp::Init();
    AppMain();
  });
  event_manager->Start();
}
