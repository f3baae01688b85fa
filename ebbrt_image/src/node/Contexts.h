// The UCs and snapshots of a node.
#ifndef EBBRT_NODE_CONTEXTS_H_
#define EBBRT_NODE_CONTEXTS_H_

#include <cstdint>
#include <memory>

#include "files/Archive.h"
#include "lib/HashMap.h"
#include "lib/Result.h"
#include "uc/UnikernelContext.h"

namespace ebbrt {

class Contexts {
 public:
  struct Counters {
    uint64_t deploys = 0;
    uint64_t captures = 0;
    uint64_t last_deploy_ns = 0;
    uint64_t last_capture_ns = 0;
  };

  // `observer` is told of ends and then calls Remove.
  Contexts(const Archive& archive, const UcLimits& limits, UcObserver& observer)
      : archive_(archive), limits_(limits), observer_(observer) {}

  // Starts a UC from the program in the archive.
  Result<UnikernelContext*> Boot();

  // A UC from a snapshot, with SYNC as the first frame of its channel. It does
  // not run yet: the caller may give it a frame before Resume.
  Result<UnikernelContext*> Deploy(uint32_t snapshot);

  // A snapshot of a UC, known by its number from now on.
  Result<RefPtr<Snapshot>> Capture(UnikernelContext& uc,
                                   UcThread* self = nullptr);

  // A snapshot from another node: state as SnapshotCodec made it, pages in the
  // region that the host shares. `parent` is 0 for none. The errors are those
  // of the codec, and kNoEntry for an unknown parent.
  Result<RefPtr<Snapshot>> Import(uint32_t parent,
                                  std::span<const std::byte> state,
                                  Vector<MemoryImage::Page> pages);
  // Null if there is none.
  Snapshot* FindSnapshot(uint32_t number);

  // Forgets a snapshot. What uses it keeps its pages. False if unknown.
  bool Evict(uint32_t snapshot) { return snapshots_.Erase(snapshot); }

  // Null if there is none.
  UnikernelContext* Find(uint32_t id);
  void Remove(UnikernelContext& uc);

  size_t count() const { return contexts_.size(); }
  size_t snapshot_count() const { return snapshots_.size(); }
  const Counters& counters() const { return counters_; }

  // visit(uc)
  template <class Visit> void ForEach(Visit visit) {
    contexts_.ForEach([&visit](uint64_t, auto& uc) { visit(*uc); });
  }
  // visit(snapshot)
  template <class Visit> void ForEachSnapshot(Visit visit) {
    snapshots_.ForEach(
        [&visit](uint64_t, auto& snapshot) { visit(*snapshot); });
  }

 private:
  uint32_t next_id();

  const Archive& archive_;
  UcLimits limits_;
  UcObserver& observer_;
  HashMap<std::unique_ptr<UnikernelContext>> contexts_;
  HashMap<RefPtr<Snapshot>> snapshots_;
  uint32_t last_id_ = 0;
  uint32_t last_snapshot_ = 0;
  Counters counters_;
};

}  // namespace ebbrt

#endif  // EBBRT_NODE_CONTEXTS_H_
