// What a snapshot holds of a UC beside its memory.
#ifndef EBBRT_UC_UCSTATE_H_
#define EBBRT_UC_UCSTATE_H_

#include <cstdint>
#include <memory>

#include "lib/Vector.h"
#include "uc/SignalActions.h"
#include "uc/ThreadState.h"
#include "uc/UcFiles.h"

namespace ebbrt {

struct UcState {
  Vector<ThreadState> threads;
  uint64_t break_start = 0;
  uint64_t break_end = 0;
  uint32_t next_thread_id = 1;
  // The runner was up; it was in the middle of a request.
  bool ready = false;
  bool serving = false;
  SignalActions signals;
  std::unique_ptr<UcFiles> files;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_UCSTATE_H_
