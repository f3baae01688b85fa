// A snapshot's state as bytes, for snapshots that leave the node: regions,
// threads, signals and files. The pages travel beside it.
//
//   8   "EBUCSTAT"
//   u32 version, 1
//   u64 break start, u64 break end, u32 next thread id, u32 umask
//   2048 bytes of signal actions
//   u32 count of regions, each: u64 start, u64 end, u8 protection (1 read,
//       2 write, 4 execute), u8 source, u64 offset in the source, u64 bytes
//   u32 count of threads, each: sizeof(ThreadState) bytes
//   u64 size, then the file side (files/StateFormat.h)
//   u32 CRC-32 of all before
#ifndef EBBRT_UC_SNAPSHOTCODEC_H_
#define EBBRT_UC_SNAPSHOTCODEC_H_

#include <cstddef>
#include <span>

#include "files/Archive.h"
#include "files/StateWriter.h"
#include "lib/Result.h"
#include "uc/RegionMap.h"
#include "uc/Snapshot.h"
#include "uc/UcState.h"

namespace ebbrt::snapshot_codec {

// How many bytes Encode gives. kTooBig if there is more than `limit`, or so
// much in pipes that it cannot be gathered.
Result<uint64_t> EncodedSize(Snapshot& snapshot, uint64_t limit);
// Piece by piece.
void Encode(Snapshot& snapshot, StateSink& sink);

struct Decoded {
  UcState state;
  RegionMap regions;
};

// `bytes` may be anything: kBadMessage if they are damaged, kNotSupported for
// another version, kInvalid if they are of another image.
Result<Decoded> Decode(std::span<const std::byte> bytes, const Archive& archive,
                       UcFiles::Limits limits);

}  // namespace ebbrt::snapshot_codec

#endif  // EBBRT_UC_SNAPSHOTCODEC_H_
