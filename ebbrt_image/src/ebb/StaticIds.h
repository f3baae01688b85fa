// Ids of the Ebbs that exist from boot. EbbAllocator gives out those above.
#ifndef EBBRT_EBB_STATICIDS_H_
#define EBBRT_EBB_STATICIDS_H_

#include "ebb/EbbId.h"

namespace ebbrt {

constexpr EbbId kPageAllocatorId(1);
constexpr EbbId kEventManagerId(2);
constexpr EbbId kTimerId(3);
constexpr EbbId kClockId(4);
constexpr EbbId kEntropyId(5);
constexpr EbbId kMessengerId(6);
constexpr EbbId kContextsId(7);
constexpr EbbId kFirstDynamicId(64);

}  // namespace ebbrt

#endif  // EBBRT_EBB_STATICIDS_H_
