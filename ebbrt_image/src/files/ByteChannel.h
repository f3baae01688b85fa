// One direction of a pipe or socket pair: bounded bytes, and whether each end
// is still there. Both ends hold a reference.
#ifndef EBBRT_FILES_BYTECHANNEL_H_
#define EBBRT_FILES_BYTECHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/RefCounted.h"
#include "lib/Result.h"
#include "lib/RingBuffer.h"

namespace ebbrt {

class ByteChannel : public RefCounted<ByteChannel> {
 public:
  static constexpr std::size_t kCapacity = 64 << 10;

  ByteChannel() = default;

  // A channel with nobody at either end yet; those who come say whether theirs
  // is still open. If nobody comes, an end stays closed.
  static RefPtr<ByteChannel>
  RestoreWithoutEnds(std::span<const std::byte> bytes, std::uint32_t activity);
  RefPtr<ByteChannel> CloneWithoutEnds() const;
  void RestoreReader(bool open) { reader_open_ = open; }
  void RestoreWriter(bool open) { writer_open_ = open; }
  // visit(span) for all that is to be read, piece by piece.
  template <class Visit> void ForEachPiece(Visit visit) const {
    buffer_.ForEachPiece(buffer_.size(), visit);
  }

  // 0 at the end; kAgain while there may be more.
  Result<std::size_t> Read(std::span<std::byte> bytes);
  // The same, but leaves the bytes.
  Result<std::size_t> Peek(std::span<std::byte> bytes) const;
  // kBrokenPipe when nobody can read. Up to abi::kPipeAtomic bytes go in whole
  // or not at all; of more, what fits.
  Result<std::size_t> Write(std::span<const std::byte> bytes);

  // Bytes written stay readable. Bytes that nobody will read are dropped.
  void CloseWriter();
  void CloseReader();
  // The reader wants no more, but may read what is there.
  void StopReading();

  std::size_t size() const { return buffer_.size(); }
  bool readable() const { return !buffer_.empty() || !writer_open_; }
  // Is there room for an atomic write?
  bool writable() const;
  bool writer_open() const { return writer_open_; }
  bool reader_open() const { return reader_open_; }
  // Moves on with every read, write and close.
  std::uint32_t activity() const { return activity_; }

 private:
  RingBuffer buffer_{kCapacity};
  bool reader_open_ = true;
  bool writer_open_ = true;
  std::uint32_t activity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_FILES_BYTECHANNEL_H_
