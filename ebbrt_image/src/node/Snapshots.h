// The snapshots of a node, by number. All cores deploy from them.
#ifndef EBBRT_NODE_SNAPSHOTS_H_
#define EBBRT_NODE_SNAPSHOTS_H_

#include <cstdint>

#include "arch/SpinLock.h"
#include "lib/HashMap.h"
#include "uc/Snapshot.h"

namespace ebbrt {

class Snapshots {
 public:
  // A number that no snapshot had before.
  uint32_t NextNumber();
  void Add(RefPtr<Snapshot> snapshot);
  // Null if there is none.
  RefPtr<Snapshot> Find(uint32_t number);
  // Forgets it. What uses it keeps its pages. False if unknown.
  bool Evict(uint32_t number);
  size_t count() const { return snapshots_.size(); }

  // visit(snapshot), with the table locked.
  template <class Visit> void ForEach(Visit visit) {
    LockGuard guard(lock_);
    snapshots_.ForEach(
        [&visit](uint64_t, auto& snapshot) { visit(*snapshot); });
  }

 private:
  SpinLock lock_;
  HashMap<RefPtr<Snapshot>> snapshots_;
  uint32_t last_number_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_NODE_SNAPSHOTS_H_
