// A representative per core, made from a shared root on first use there. The
// root keeps them, so that all can be visited.
#ifndef EBBRT_EBB_MULTICOREEBB_H_
#define EBBRT_EBB_MULTICOREEBB_H_

#include "arch/Cpu.h"
#include "arch/SpinLock.h"
#include "ebb/EbbAllocator.h"
#include "ebb/EbbRef.h"
#include "ebb/LocalIdMap.h"
#include "lib/Assert.h"

namespace ebbrt {

// Root of MulticoreEbb<T>; derive from it to give the reps common state.
template <class T> class MulticoreEbbRoot {
 public:
  // The rep of a core, or null when that core has not used the Ebb yet.
  T* rep(unsigned core) const {
    return __atomic_load_n(&reps_[core], __ATOMIC_ACQUIRE);
  }

 private:
  template <class, class> friend class MulticoreEbb;
  T* reps_[kMaxCores] = {};
};

template <class T, class Root = MulticoreEbbRoot<T>> class MulticoreEbb {
 public:
  static EbbRef<T> Create(Root* root, EbbId id = ebb_allocator::Allocate()) {
    kbugon(!local_id_map::Insert(id, root), "Ebb %u exists", id.number());
    return EbbRef<T>(id);
  }

  static T* HandleFault(EbbId id) {
    auto* root = static_cast<Root*>(local_id_map::Find(id));
    kbugon(!root, "Ebb %u does not exist", id.number());
    // Only this core touches its own slot, so no lock is needed.
    auto& slot = static_cast<MulticoreEbbRoot<T>*>(root)->reps_[cpu::Index()];
    if (!slot)
      __atomic_store_n(&slot, new T(*root), __ATOMIC_RELEASE);
    EbbRef<T>::CacheRef(id, slot);
    return slot;
  }
};

}  // namespace ebbrt

#endif  // EBBRT_EBB_MULTICOREEBB_H_
