// Ids for Ebbs made at run time.
#pragma once

#include "ebb/EbbId.h"

namespace ebbrt::ebb_allocator {

EbbId Allocate();

}  // namespace ebbrt::ebb_allocator
