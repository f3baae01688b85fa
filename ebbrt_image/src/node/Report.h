// What a node says to its host, in JSON.
#ifndef EBBRT_NODE_REPORT_H_
#define EBBRT_NODE_REPORT_H_

#include <cstdint>

#include "lib/JsonWriter.h"
#include "node/Contexts.h"

namespace ebbrt::report {

void Error(uint64_t id, uint32_t context, const char* kind,
           const char* message);
void Done(uint64_t id, uint32_t context);
// `id` is 0, or that of the BOOT of a UC that never was ready.
void Ended(uint64_t id, uint32_t context, const char* kind,
           const char* message);
void Captured(uint64_t id, uint32_t context, Snapshot& snapshot,
              uint64_t nanoseconds);
void Deployed(uint64_t id, uint32_t context, uint64_t nanoseconds);
// What the host needs to store a snapshot: u32 size of the state, the state,
// then for each page u64 number and u64 frame (~0: zeroes).
void Exported(uint64_t id, uint32_t context, Snapshot& snapshot);
// Totals, and the counters of `uc` if there is one.
void Status(uint64_t id, ContextsRoot& root, UnikernelContext* uc);

// The same of one UC or snapshot, for lists.
void WriteContext(JsonWriter& json, UnikernelContext& uc);
void WriteSnapshot(JsonWriter& json, Snapshot& snapshot);

}  // namespace ebbrt::report

#endif  // EBBRT_NODE_REPORT_H_
