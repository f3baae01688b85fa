// Bounded first-in first-out queue of bytes. Memory is taken page by page as
// bytes come and given back as they go: an idle pipe costs a UC next to
// nothing, and a full one needs no memory in one piece.
#ifndef EBBRT_LIB_RINGBUFFER_H_
#define EBBRT_LIB_RINGBUFFER_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include "lib/Vector.h"

namespace ebbrt {

class RingBuffer {
 public:
  explicit RingBuffer(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const { return capacity_; }
  std::size_t size() const { return size_; }
  std::size_t space() const { return capacity_ - size_; }
  bool empty() const { return size_ == 0; }

  // Takes as many bytes as fit and returns how many.
  std::size_t Write(std::span<const std::byte> bytes) {
    auto count = std::min(bytes.size(), space());
    for (std::size_t done = 0; done < count;) {
      auto at = start_ + size_;
      if (at / kPiece == pieces_.size())
        pieces_.PushBack(std::unique_ptr<Piece>(new Piece));
      auto some = std::min(count - done, kPiece - at % kPiece);
      std::memcpy(pieces_[at / kPiece]->bytes + at % kPiece,
                  bytes.data() + done, some);
      size_ += some;
      done += some;
    }
    return count;
  }

  // Calls visit(span) for the first `count` bytes in order, piece by piece,
  // without taking them.
  template <class Visit>
  void ForEachPiece(std::size_t count, Visit visit) const {
    kassert(count <= size_);
    for (std::size_t done = 0; done < count;) {
      auto at = start_ + done;
      auto some = std::min(count - done, kPiece - at % kPiece);
      visit(std::span<const std::byte>(
          pieces_[at / kPiece]->bytes + at % kPiece, some));
      done += some;
    }
  }

  // Copies without taking; returns how many bytes there were to copy.
  std::size_t Peek(std::span<std::byte> bytes) const {
    auto count = std::min(bytes.size(), size_);
    ForEachPiece(count, [&bytes](std::span<const std::byte> piece) {
      std::memcpy(bytes.data(), piece.data(), piece.size());
      bytes = bytes.subspan(piece.size());
    });
    return count;
  }

  void Drop(std::size_t count) {
    kassert(count <= size_);
    start_ += count;
    size_ -= count;
    if (size_ == 0) {
      pieces_.Clear();
      start_ = 0;
    }
    while (start_ >= kPiece) {
      pieces_.Erase(0);
      start_ -= kPiece;
    }
  }

  std::size_t Read(std::span<std::byte> bytes) {
    auto count = Peek(bytes);
    Drop(count);
    return count;
  }

  void Clear() { Drop(size_); }

 private:
  static constexpr std::size_t kPiece = 4096;
  struct Piece {
    std::byte bytes[kPiece];
  };

  Vector<std::unique_ptr<Piece>> pieces_;
  std::size_t capacity_;
  std::size_t start_ = 0;  // in the first piece
  std::size_t size_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_RINGBUFFER_H_
