// Segments and the task state of one core.
#ifndef EBBRT_ARCH_GDT_H_
#define EBBRT_ARCH_GDT_H_

#include <cstddef>
#include <cstdint>

namespace ebbrt {

// Order fixed by SYSCALL/SYSRET: kernel code, kernel data, user data, user
// code.
constexpr uint16_t kKernelCode = 0x08;
constexpr uint16_t kKernelData = 0x10;
constexpr uint16_t kUserData = 0x1b;
constexpr uint16_t kUserCode = 0x23;
constexpr uint16_t kTaskState = 0x28;

struct [[gnu::packed]] TaskState {
  uint32_t reserved0;
  uint64_t rsp[3];
  uint64_t reserved1;
  uint64_t ist[7];
  uint64_t reserved2;
  uint16_t reserved3;
  uint16_t io_map_base;
};
static_assert(sizeof(TaskState) == 104);

class Gdt {
 public:
  // Loads the descriptors on the calling core.
  void Load(TaskState& task_state);

 private:
  alignas(16) uint64_t entries_[7];
};

}  // namespace ebbrt

#endif  // EBBRT_ARCH_GDT_H_
