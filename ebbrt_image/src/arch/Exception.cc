#include "arch/Exception.h"

#include <atomic>
#include <cstdarg>

#include "arch/Backtrace.h"
#include "arch/Cpu.h"
#include "arch/DebugConsole.h"
#include "lib/Assert.h"
#include "lib/Format.h"
#include "mm/VMem.h"

namespace {

const char* const kNames[] = {
    "divide error",       "debug",       "NMI",
    "breakpoint",         "overflow",    "bound range",
    "invalid opcode",     "no FPU",      "double fault",
    "FPU segment",        "invalid TSS", "segment not present",
    "stack segment",      "protection",  "page fault",
    "reserved",           "x87 error",   "alignment check",
    "machine check",      "SIMD error",  "virtualization",
    "control protection", "reserved",    "reserved",
    "reserved",           "reserved",    "reserved",
    "reserved",           "hypervisor",  "VMM communication",
    "security",           "reserved"};

// Number of the core that reports, plus one.
std::atomic<unsigned> reporting;

// The first failure is the one to report. A failure inside the report ends the
// machine; other cores that fail meanwhile keep still.
void BeginReport() {
  asm volatile("cli");
  auto self = ebbrt::cpu::IndexOrZero() + 1;
  unsigned first = 0;
  if (reporting.compare_exchange_strong(first, self))
    return;
  if (first == self)
    ebbrt::power::Off(ebbrt::power::kFailure);
  for (;;)
    asm volatile("hlt");
}

}  // namespace

const char* ebbrt::exception::Name(uint64_t vector) {
  return vector < 32 ? kNames[vector] : "interrupt";
}

void ebbrt::exception::HandleInKernel(TrapFrame& frame) {
  if (frame.vector == kVectorPageFault && vmem::HandleFault(cpu::ReadCr2()))
    return;
  Die(frame, Name(frame.vector));
}

void ebbrt::exception::Die(const TrapFrame& f, const char* why) {
  BeginReport();
  kprintf("\nKERNEL EXCEPTION on core %u: %s (vector %lu, error %lx)\n",
          cpu::IndexOrZero(), why, f.vector, f.error);
  kprintf("rip %016lx cs %lx rflags %lx rsp %016lx ss %lx cr2 %016lx cr3 "
          "%lx\n",
          f.rip, f.cs, f.rflags, f.rsp, f.ss, cpu::ReadCr2(), cpu::ReadCr3());
  kprintf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f.rax, f.rbx, f.rcx,
          f.rdx);
  kprintf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f.rsi, f.rdi, f.rbp,
          f.r8);
  kprintf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f.r9, f.r10, f.r11,
          f.r12);
  kprintf("r13 %016lx r14 %016lx r15 %016lx\n", f.r13, f.r14, f.r15);
  backtrace::Print(f.rip, f.rbp);
  power::Off(power::kFailure);
}

void ebbrt::AbortAt(const char* file, int line, const char* expression,
                    const char* format, ...) {
  BeginReport();
  char message[256];
  va_list arguments;
  va_start(arguments, format);
  VFormatTo(message, format, arguments);
  va_end(arguments);
  kprintf("\nKERNEL ABORT on core %u at %s:%d: %s%s\n", cpu::IndexOrZero(),
          file, line, expression ? expression : "", message);
  // The call, not what lies behind it.
  auto caller = reinterpret_cast<uint64_t>(__builtin_return_address(0)) - 1;
  auto* frame = static_cast<const uint64_t*>(__builtin_frame_address(0));
  backtrace::Print(caller, frame[0]);
  power::Off(power::kFailure);
}
