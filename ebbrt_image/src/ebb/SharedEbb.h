// One representative for all cores.
#ifndef EBBRT_EBB_SHAREDEBB_H_
#define EBBRT_EBB_SHAREDEBB_H_

#include "ebb/EbbAllocator.h"
#include "ebb/EbbRef.h"
#include "ebb/LocalIdMap.h"
#include "lib/Assert.h"

namespace ebbrt {

template <class T> class SharedEbb {
 public:
  static EbbRef<T> Create(T* rep, EbbId id = ebb_allocator::Allocate()) {
    kbugon(!local_id_map::Insert(id, rep), "Ebb %u exists", id.number());
    return EbbRef<T>(id);
  }

  static T* HandleFault(EbbId id) {
    auto* rep = static_cast<T*>(local_id_map::Find(id));
    kbugon(!rep, "Ebb %u does not exist", id.number());
    EbbRef<T>::CacheRef(id, rep);
    return rep;
  }
};

}  // namespace ebbrt

#endif  // EBBRT_EBB_SHAREDEBB_H_
