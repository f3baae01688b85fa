// A handle to an Ebb. Each core has a table of representatives at the same
// offset from its GS base; a call loads the slot and goes straight to the
// representative. An empty slot is a miss: T::HandleFault(id) finds or makes
// the representative of this core and caches it.
#ifndef EBBRT_EBB_EBBREF_H_
#define EBBRT_EBB_EBBREF_H_

#include <cstdint>

#include "ebb/EbbId.h"
#include "mm/Pfn.h"

namespace ebbrt {

// The Cpu and its kin lie before the table.
constexpr uint64_t kTranslationOffset = 4 * kPageSize;

template <class T> class EbbRef {
 public:
  constexpr explicit EbbRef(EbbId id)
      : slot_(kTranslationOffset + id.number() * sizeof(void*)) {}

  constexpr EbbId id() const {
    return EbbId(
        static_cast<uint32_t>((slot_ - kTranslationOffset) / sizeof(void*)));
  }

  T* operator->() const { return Rep(); }
  T& operator*() const { return *Rep(); }

  T* Rep() const {
    T* rep;
    asm volatile("movq %%gs:(%1), %0" : "=r"(rep) : "r"(slot_));
    if (!rep) [[unlikely]]
      rep = T::HandleFault(id());
    return rep;
  }

  static void CacheRef(EbbId id, T* rep) {
    auto slot = kTranslationOffset + id.number() * sizeof(void*);
    asm volatile("movq %0, %%gs:(%1)" : : "r"(rep), "r"(slot) : "memory");
  }

 private:
  uint64_t slot_;
};

}  // namespace ebbrt

#endif  // EBBRT_EBB_EBBREF_H_
