#include "boot/Smp.h"

#include <atomic>
#include <cstring>

#include "arch/Apic.h"
#include "arch/Clock.h"
#include "arch/Cpu.h"
#include "arch/DebugConsole.h"
#include "arch/Idt.h"
#include "arch/Port.h"
#include "event/EventManager.h"
#include "lib/Assert.h"
#include "mm/DirectMap.h"
#include "mm/VMem.h"

extern "C" {
extern char ApTrampolineStart[], ApTrampolineEnd[];
extern uint64_t ap_root, ap_stack_top;
void ApMain();
}

namespace {

// Boot.S is assembled for this address.
constexpr uint64_t kTrampoline = 0x8000;
// QEMU's firmware configuration device tells the number of cores.
constexpr uint16_t kFwCfgSelector = 0x510;
constexpr uint16_t kFwCfgData = 0x511;
constexpr uint16_t kFwCfgCpuCount = 0x05;
constexpr uint64_t kInitDelay = 200000;  // ns; Intel asks for 10 ms, QEMU
constexpr uint64_t kStartTimeout = 2000000000;  // for none
constexpr size_t kBootStackPages = 2;

std::atomic<unsigned> started;
unsigned starting_index;

unsigned CoreCount() {
  ebbrt::port::Out16(kFwCfgSelector, kFwCfgCpuCount);
  unsigned low = ebbrt::port::In8(kFwCfgData);
  return low | ebbrt::port::In8(kFwCfgData) << 8;
}

void Delay(uint64_t nanoseconds) {
  auto end = ebbrt::clock::Uptime() + nanoseconds;
  while (ebbrt::clock::Uptime() < end)
    __builtin_ia32_pause();
}

}  // namespace

extern "C" void ApMain() {
  using namespace ebbrt;
  idt::Load();
  apic::Init();
  cpu::Init(starting_index, apic::Id());
  // The slot of this core in the root is made by the first use.
  event_manager.Rep();
  started.fetch_add(1, std::memory_order_release);
  event_manager->Start();
}

void ebbrt::smp::Init() {
  auto count = CoreCount();
  kbugon(count > kMaxCores, "%u cores, at most %u are supported", count,
         kMaxCores);
  if (count <= 1)
    return;
  std::memcpy(PhysicalToPointer(kTrampoline), ApTrampolineStart,
              ApTrampolineEnd - ApTrampolineStart);
  ap_root = vmem::Root().address();
  // QEMU numbers APICs from 0 without gaps up to the sizes allowed here.
  for (unsigned index = 1; index < count; ++index) {
    starting_index = index;
    ap_stack_top =
        vmem::AllocateStack(kBootStackPages) + kBootStackPages * kPageSize;
    apic::SendInit(index);
    Delay(kInitDelay);
    apic::SendStartup(index, kTrampoline >> 12);
    auto deadline = clock::Uptime() + kStartTimeout;
    while (started.load(std::memory_order_acquire) != index) {
      kbugon(clock::Uptime() > deadline, "core %u does not start", index);
      __builtin_ia32_pause();
    }
  }
  kprintf("smp: %u cores\n", count);
}
