#include "arch/Gdt.h"

namespace {

struct [[gnu::packed]] TablePointer {
  uint16_t limit;
  const void* base;
};

}  // namespace

void ebbrt::Gdt::Load(TaskState& task_state) {
  auto base = reinterpret_cast<uint64_t>(&task_state);
  task_state.io_map_base = sizeof(TaskState);
  entries_[0] = 0;
  entries_[1] = 0x00AF9A000000FFFF;
  entries_[2] = 0x00CF92000000FFFF;
  entries_[3] = 0x00CFF2000000FFFF;
  entries_[4] = 0x00AFFA000000FFFF;
  entries_[5] = (sizeof(TaskState) - 1) | (base & 0xFFFFFF) << 16 |
                uint64_t{0x89} << 40 | (base >> 24 & 0xFF) << 56;
  entries_[6] = base >> 32;
  TablePointer pointer{sizeof(entries_) - 1, entries_};
  asm volatile("lgdt %0\n\t"
               "pushq %1\n\t"
               "leaq 1f(%%rip), %%rax\n\t"
               "pushq %%rax\n\t"
               "lretq\n"
               "1:\n\t"
               "movw %w2, %%ds\n\t"
               "movw %w2, %%es\n\t"
               "movw %w2, %%ss\n\t"
               "ltr %w3"
               :
               : "m"(pointer), "i"(kKernelCode), "r"(kKernelData),
                 "r"(kTaskState)
               : "rax", "memory");
}
