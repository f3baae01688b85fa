// Ids for Ebbs made at run time.
#ifndef EBBRT_EBB_EBBALLOCATOR_H_
#define EBBRT_EBB_EBBALLOCATOR_H_

#include "ebb/EbbId.h"

namespace ebbrt::ebb_allocator {

EbbId Allocate();

}  // namespace ebbrt::ebb_allocator

#endif  // EBBRT_EBB_EBBALLOCATOR_H_
