// A captured UC: memory, threads and what the kernel keeps for it. UCs are
// deployed from it on any core; it lives until the last of them and the last
// snapshot taken from them are gone.
#ifndef EBBRT_UC_SNAPSHOT_H_
#define EBBRT_UC_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "lib/RefCounted.h"
#include "lib/Vector.h"
#include "uc/MemoryImage.h"
#include "uc/UcState.h"
#include "uc/WriteSet.h"

namespace ebbrt {

class Snapshot : public AtomicRefCounted<Snapshot> {
 public:
  Snapshot(uint32_t id, RefPtr<Snapshot> parent,
           std::unique_ptr<MemoryImage> memory, UcState state)
      : id_(id), parent_(std::move(parent)), memory_(std::move(memory)),
        state_(std::move(state)) {}
  // A chain of any length goes one by one: stacks are small.
  ~Snapshot() {
    auto next = std::move(parent_);
    while (next && next->ref_count() == 1)
      next = std::exchange(next->parent_, nullptr);
  }

  uint32_t id() const { return id_; }
  // What the captured UC was deployed from; null for one that was booted.
  const RefPtr<Snapshot>& parent() const { return parent_; }
  MemoryImage& memory() { return *memory_; }
  const UcState& state() const { return state_; }

  // What a request writes in a UC of this snapshot. Until that is known, what
  // one wrote in a UC of another snapshot with the same parent.
  std::span<const uint64_t> Writes() const {
    return writes_.known() || !parent_ ? writes_.pages()
                                       : parent_->child_writes_.pages();
  }
  // walk(visit) calls visit(address) for each page that the first request of
  // such a UC wrote.
  template <class Walk> void LearnWrites(Walk walk) {
    writes_.Learn(walk);
    if (parent_)
      parent_->child_writes_.Learn(walk);
  }

 private:
  uint32_t id_;
  RefPtr<Snapshot> parent_;
  std::unique_ptr<MemoryImage> memory_;
  UcState state_;
  WriteSet writes_;
  WriteSet child_writes_;
};

}  // namespace ebbrt

#endif  // EBBRT_UC_SNAPSHOT_H_
