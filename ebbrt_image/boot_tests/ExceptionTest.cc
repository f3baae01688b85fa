// Every case must end in failure, with a report that names what failed. The
// runner picks one by `test.case` on the command line and reads the report.

#include <string_view>

#include "Support.h"
#include "boot/BootInfo.h"
#include "mm/PageAllocator.h"
#include "mm/VMem.h"

using namespace ebbrt;

// Their names are to be found in the report.
extern "C" {
void DivideByZero();
void WriteToNull();
void WriteToText();
void RunData();
void RunIllegalInstruction();
void ReadStrangeAddress();
void OverflowStack(unsigned depth);
void TouchUserMemory();
void AbortInnermost(int number);
void AbortOuter(int number);
void BreakFramePointer();
void FailWhilePrinting();
void FreeTwice();
}

#define NEVER_INLINE [[gnu::noinline, gnu::noclone]]

NEVER_INLINE void FreeTwice() {
  auto pfn = page_allocator->Allocate();
  page_allocator->Free(pfn);
  page_allocator->Free(pfn);
}

NEVER_INLINE void DivideByZero() {
  asm volatile(
      "xorl %%edx, %%edx; xorl %%ecx, %%ecx; movl $77, %%eax; divl %%ecx"
      :
      :
      : "eax", "ecx", "edx");
}

NEVER_INLINE void WriteToNull() {
  asm volatile("movabsq $0x1122334455667788, %%r15; movl $1, (%0)"
               :
               : "r"(uint64_t{0})
               : "r15", "memory");
}

NEVER_INLINE void WriteToText() {
  auto* code = reinterpret_cast<volatile char*>(
      reinterpret_cast<uint64_t>(&DivideByZero));
  *code = 0;
}

NEVER_INLINE void RunData() {
  static unsigned char code[] = {0xc3};
  auto function =
      reinterpret_cast<void (*)()>(reinterpret_cast<uint64_t>(code));
  function();
  asm volatile("");
}

NEVER_INLINE void RunIllegalInstruction() {
  asm volatile("ud2");
}

NEVER_INLINE void ReadStrangeAddress() {
  asm volatile("movq (%0), %%rax"
               :
               : "r"(uint64_t{0x1234567890abcdef})
               : "rax");
}

NEVER_INLINE void OverflowStack(unsigned depth) {
  volatile char room[1024];
  room[0] = static_cast<char>(depth);
  if (depth != ~0u)
    OverflowStack(depth + 1);
  room[1] = room[0];
}

// Present, but of ring 3: SMAP stands before it. Where the core has no SMAP the
// kernel must not come here, so the test says so itself.
NEVER_INLINE void TouchUserMemory() {
  constexpr uint64_t kAddress = 0x400000;
  constexpr uint64_t kUserTable = PageTableEntry::kPresent |
                                  PageTableEntry::kWritable |
                                  PageTableEntry::kUser;
  auto table = vmem::Root();
  for (auto level = kRootLevel; level > 0; --level) {
    auto next = page_allocator->Allocate();
    ToPointer<PageTableEntry>(table)[TableIndex(kAddress, level)] =
        PageTableEntry(next, kUserTable);
    table = next;
  }
  asm volatile("movq (%0), %%rax" : : "r"(kAddress) : "rax");
  kabort("read memory of ring 3");
}

NEVER_INLINE void AbortInnermost(int number) {
  kbugon(number == 42, "the number is %d", number);
}

NEVER_INLINE void AbortOuter(int number) {
  AbortInnermost(number + 1);
  asm volatile("");
}

// The report must end although the frames cannot be followed.
NEVER_INLINE void BreakFramePointer() {
  asm volatile("movabsq $0xffffa00000000000, %%rbp; ud2" : : : "memory");
}

NEVER_INLINE void FailWhilePrinting() {
  kprintf("%s", reinterpret_cast<const char*>(0xffffa00000000000));
  asm volatile("");
}

namespace {

struct Choice {
  std::string_view name;
  void (*run)();
};

constexpr Choice kChoices[] = {
    {"divide", DivideByZero},
    {"null-write", WriteToNull},
    {"text-write", WriteToText},
    {"data-run", RunData},
    {"illegal", RunIllegalInstruction},
    {"strange-read", ReadStrangeAddress},
    {"stack", [] { OverflowStack(0); }},
    {"user-read", TouchUserMemory},
    {"abort", [] { AbortOuter(41); }},
    {"frame-pointer", BreakFramePointer},
    {"print", FailWhilePrinting},
    {"free-twice", FreeTwice},
};

}  // namespace

void AppMain() {
  auto wanted = boot_info::Option("test.case");
  // On the last core, which has its own stacks and tables.
  test::RunOn(cpu::Count() - 1, [wanted] {
    for (const auto& choice : kChoices)
      if (choice.name == wanted)
        choice.run();
  });
  // Not reached by a case that exists: the runner expects a failure.
  test::Pass();
}
