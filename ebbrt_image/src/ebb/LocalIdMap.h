// What an Ebb's miss handler finds its root by: id -> pointer, one per machine.
#ifndef EBBRT_EBB_LOCALIDMAP_H_
#define EBBRT_EBB_LOCALIDMAP_H_

#include "ebb/EbbId.h"

namespace ebbrt::local_id_map {

// Null when the id is unknown.
void* Find(EbbId id);

// False, and nothing done, when the id is taken.
bool Insert(EbbId id, void* value);

void Erase(EbbId id);

}  // namespace ebbrt::local_id_map

#endif  // EBBRT_EBB_LOCALIDMAP_H_
