#include "arch/Cpu.h"

#include <new>

#include "arch/Cpuid.h"
#include "arch/Idt.h"
#include "arch/Msr.h"
#include "lib/Assert.h"
#include "mm/PageAllocator.h"
#include "mm/VMem.h"

extern "C" void SystemCallEntry();

namespace {

constexpr uint64_t kCr4Umip = 1 << 11;
constexpr uint64_t kCr4Smep = 1 << 20;
constexpr uint64_t kCr4Smap = 1 << 21;
// SYSCALL clears these: TF, IF, DF, IOPL, NT, AC.
constexpr uint64_t kSystemCallFlagMask = 0x47700;
constexpr size_t kExceptionStackPages = 2;

ebbrt::Cpu* cores[ebbrt::kMaxCores];
unsigned core_count;
bool smap;

}  // namespace

unsigned ebbrt::cpu::IndexOrZero() {
  return core_count == 0 ? 0 : Index();
}

unsigned ebbrt::cpu::Count() {
  return core_count;
}

void ebbrt::cpu::ClearUserAccess() {
  if (smap)
    asm volatile("clac" : : : "cc");
}

ebbrt::Cpu& ebbrt::cpu::Get(unsigned index) {
  kbugon(index >= core_count, "no core %u", index);
  return *cores[index];
}

void ebbrt::cpu::Init(unsigned index, uint32_t apic_id) {
  auto region = vmem::CoreRegion(index);
  auto* self = new (reinterpret_cast<void*>(region)) Cpu();
  self->self = self;
  self->index = index;
  self->apic_id = apic_id;
  self->root = ReadCr3();
  for (auto stack :
       {idt::kStackNmi, idt::kStackDoubleFault, idt::kStackMachineCheck}) {
    auto base = vmem::AllocateStack(kExceptionStackPages);
    self->task_state.ist[stack - 1] = base + kExceptionStackPages * kPageSize;
  }
  self->gdt.Load(self->task_state);
  msr::Write(msr::kGsBase, region);
  msr::Write(msr::kKernelGsBase, 0);
  msr::Write(msr::kFsBase, 0);

  msr::Write(msr::kStar,
             uint64_t{kKernelCode} << 32 | uint64_t{kKernelData} << 48);
  msr::Write(msr::kLstar, reinterpret_cast<uint64_t>(&SystemCallEntry));
  msr::Write(msr::kFmask, kSystemCallFlagMask);

  uint64_t cr4;
  asm volatile("movq %%cr4, %0" : "=r"(cr4));
  if (cpuid::HasUmip())
    cr4 |= kCr4Umip;
  if (cpuid::HasSmep())
    cr4 |= kCr4Smep;
  smap = cpuid::HasSmap();
  if (smap)
    cr4 |= kCr4Smap;
  asm volatile("movq %0, %%cr4" : : "r"(cr4));
  asm volatile("fninit");

  cores[index] = self;
  // Published last: other cores look at the count.
  __atomic_store_n(&core_count, index + 1, __ATOMIC_RELEASE);
}
