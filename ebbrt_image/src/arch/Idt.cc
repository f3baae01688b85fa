#include "arch/Idt.h"

#include "arch/Apic.h"
#include "arch/Exception.h"
#include "arch/Gdt.h"
#include "arch/TrapFrame.h"
#include "event/EventManager.h"
#include "event/Timer.h"
#include "lib/Assert.h"
#include "uc/UcThread.h"

extern "C" char isr_stubs[];

namespace {

struct Gate {
  uint16_t offset_low;
  uint16_t selector;
  uint8_t stack;
  uint8_t type;
  uint16_t offset_middle;
  uint32_t offset_high;
  uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  const void* base;
};

constexpr unsigned kStubSize = 16;
constexpr unsigned kMaxDevices = 64;

alignas(16) Gate gates[256];
ebbrt::MovableFunction<void()> device_handlers[kMaxDevices];
unsigned device_count;

}  // namespace

void ebbrt::idt::Init() {
  for (unsigned i = 0; i < 256; ++i) {
    auto address = reinterpret_cast<uint64_t>(isr_stubs) + i * kStubSize;
    gates[i] = Gate{static_cast<uint16_t>(address),
                    kKernelCode,
                    0,
                    0x8E,
                    static_cast<uint16_t>(address >> 16),
                    static_cast<uint32_t>(address >> 32),
                    0};
  }
  gates[2].stack = kStackNmi;
  gates[8].stack = kStackDoubleFault;
  gates[18].stack = kStackMachineCheck;
  Load();
}

void ebbrt::idt::Load() {
  TablePointer pointer{sizeof(gates) - 1, gates};
  asm volatile("lidt %0" : : "m"(pointer));
}

uint8_t ebbrt::idt::AllocateVector(MovableFunction<void()> handler) {
  kbugon(device_count == kMaxDevices, "no free interrupt vector");
  device_handlers[device_count] = std::move(handler);
  return kVectorFirstDevice + device_count++;
}

extern "C" void HandleTrap(ebbrt::TrapFrame* frame) {
  using namespace ebbrt;
  cpu::ClearUserAccess();
  // Whose trap it is: handling it may block, and then others run here.
  auto* thread = frame->from_user() ? &UcThread::Current() : nullptr;
  if (frame->vector < 32) {
    if (frame->from_user())
      uc_thread::HandleFault(*frame);
    else
      exception::HandleInKernel(*frame);
  } else if (frame->vector != idt::kVectorSpurious) {
    apic::EndOfInterrupt();
    if (frame->vector == idt::kVectorTimer) {
      timer->HandleInterrupt();
    } else if (frame->vector >= idt::kVectorFirstDevice) {
      auto device = frame->vector - idt::kVectorFirstDevice;
      kbugon(device >= device_count, "interrupt on free vector %lu",
             frame->vector);
      device_handlers[device]();
    }
    // kVectorRemoteWork only wakes the core: the event loop takes the work.
  }
  if (thread)
    thread->PrepareReturn();
}
