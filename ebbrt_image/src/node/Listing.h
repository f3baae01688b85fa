// The list of a node's snapshots and UCs, page by page: each LISTED frame ends
// with the place where the next goes on.
#ifndef EBBRT_NODE_LISTING_H_
#define EBBRT_NODE_LISTING_H_

#include <cstdint>

#include "lib/JsonWriter.h"
#include "node/Contexts.h"

namespace ebbrt {

class Listing {
 public:
  // Payload of a LIST. Snapshots come by their numbers, from `snapshot` on.
  // Then UCs core by core, and of a core by their ids: from `context` on.
  struct Place {
    uint32_t snapshot = 0;
    uint32_t context = 0;
  };

  explicit Listing(ContextsRoot& root) : root_(root) {}

  // Sends as much as fits into one frame. Blocks: UCs are only looked at on
  // their own core.
  void Send(uint64_t id, Place from);

 private:
  // Each says whether it came to the end; `next_` is where it stopped.
  bool write_snapshots(JsonWriter& json);
  bool write_contexts(JsonWriter& json);
  bool write_core(JsonWriter& json);

  ContextsRoot& root_;
  Place next_;
};

static_assert(sizeof(Listing::Place) == 8);

}  // namespace ebbrt

#endif  // EBBRT_NODE_LISTING_H_
