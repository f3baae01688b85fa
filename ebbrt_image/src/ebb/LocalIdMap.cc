#include "ebb/LocalIdMap.h"

#include "arch/SpinLock.h"
#include "lib/HashMap.h"

namespace {

ebbrt::SpinLock lock;
ebbrt::HashMap<void*> map;

}  // namespace

void* ebbrt::local_id_map::Find(EbbId id) {
  LockGuard guard(lock);
  auto* value = map.Find(id.number());
  return value ? *value : nullptr;
}

bool ebbrt::local_id_map::Insert(EbbId id, void* value) {
  LockGuard guard(lock);
  return map.Insert(id.number(), value) != nullptr;
}

void ebbrt::local_id_map::Erase(EbbId id) {
  LockGuard guard(lock);
  map.Erase(id.number());
}
