// Kernel stacks that no core needs. Every core keeps a few for itself; those
// here are for whoever comes first. Only so many stay: the frames of the others
// go back to the page allocator once no core can know of them any more.
#ifndef EBBRT_EVENT_STACKPOOL_H_
#define EBBRT_EVENT_STACKPOOL_H_

#include <cstddef>
#include <cstdint>

#include "mm/Pfn.h"

namespace ebbrt {

constexpr size_t kEventStackSize = 4 * kPageSize;

class StackPool {
 public:
  // Free stacks that stay, and how many go back at a time when there are that
  // many more.
  static constexpr size_t kKept = 64;
  static constexpr size_t kBatch = 16;

  // The lowest address of a stack.
  static uint64_t Take();
  // Nobody may stand on it: another core may take it at once.
  static void Put(uint64_t stack);

  // Stacks that have frames: those of all cores, and those here.
  static size_t Count();

 private:
  class Flush;

  static void return_batches();
  static bool choose_batch();
  static bool flushed_by_all();
  static void free_batch();

  static Flush flushes_[];
};

}  // namespace ebbrt

#endif  // EBBRT_EVENT_STACKPOOL_H_
