// A thread as a snapshot holds it.
#ifndef EBBRT_UC_THREADSTATE_H_
#define EBBRT_UC_THREADSTATE_H_

#include <cstddef>
#include <cstdint>

#include "arch/TrapFrame.h"

namespace ebbrt {

struct ThreadState {
  static constexpr size_t kFpuSize = 512;

  // Where ring 3 goes on. A thread that waits in a system call makes the call
  // anew, so nothing of the kernel's stack is part of the state.
  TrapFrame frame;
  uint64_t fs_base;
  uint64_t gs_base;
  uint64_t clear_child_tid;
  uint64_t signal_mask;
  uint64_t id;
  alignas(16) std::byte fpu[kFpuSize];
};

}  // namespace ebbrt

#endif  // EBBRT_UC_THREADSTATE_H_
