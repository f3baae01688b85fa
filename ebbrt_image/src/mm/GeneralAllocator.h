// The kernel's heap, behind operator new: slabs for small objects, whole
// power-of-two runs of frames for large ones.
#ifndef EBBRT_MM_GENERALALLOCATOR_H_
#define EBBRT_MM_GENERALALLOCATOR_H_

#include <cstddef>

namespace ebbrt {

namespace general_allocator {

constexpr size_t kMaxSmall = 1344;
constexpr size_t kMaxSize = size_t{8} << 20;

// Null when memory is short or the size is beyond kMaxSize.
void* Allocate(size_t size);
void Free(void* object);

}  // namespace general_allocator

}  // namespace ebbrt

#endif  // EBBRT_MM_GENERALALLOCATOR_H_
