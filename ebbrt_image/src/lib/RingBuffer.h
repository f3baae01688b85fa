// Bounded first-in first-out queue of bytes. Memory is taken as bytes come, so
// an idle pipe costs a UC next to nothing.
#ifndef EBBRT_LIB_RINGBUFFER_H_
#define EBBRT_LIB_RINGBUFFER_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
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
    if (count == 0)
      return 0;
    make_room(size_ + count);
    auto tail = wrap(start_ + size_);
    auto first = std::min(count, storage_.size() - tail);
    std::memcpy(&storage_[tail], bytes.data(), first);
    if (count > first)
      std::memcpy(&storage_[0], bytes.data() + first, count - first);
    size_ += count;
    return count;
  }

  // Copies without taking; returns how many bytes there were to copy.
  std::size_t Peek(std::span<std::byte> bytes) const {
    auto count = std::min(bytes.size(), size_);
    if (count == 0)
      return 0;
    auto first = std::min(count, storage_.size() - start_);
    std::memcpy(bytes.data(), &storage_[start_], first);
    if (count > first)
      std::memcpy(bytes.data() + first, &storage_[0], count - first);
    return count;
  }

  void Drop(std::size_t count) {
    kassert(count <= size_);
    if (count == 0)
      return;
    start_ = wrap(start_ + count);
    size_ -= count;
    if (size_ > 0)
      return;
    start_ = 0;
    if (storage_.size() > kKeptStorage)
      storage_ = Vector<std::byte>();
  }

  std::size_t Read(std::span<std::byte> bytes) {
    auto count = Peek(bytes);
    Drop(count);
    return count;
  }

  void Clear() { Drop(size_); }

 private:
  static constexpr std::size_t kFirstStorage = 512;
  // An empty queue gives more than this back.
  static constexpr std::size_t kKeptStorage = 4096;

  std::size_t wrap(std::size_t index) const {
    return index >= storage_.size() ? index - storage_.size() : index;
  }

  void make_room(std::size_t wanted) {
    if (wanted <= storage_.size())
      return;
    auto target = std::max(storage_.size() * 2, kFirstStorage);
    target = std::min(std::max(target, wanted), capacity_);
    Vector<std::byte> bigger;
    bigger.Resize(target);
    Peek(bigger);
    storage_ = std::move(bigger);
    start_ = 0;
  }

  Vector<std::byte> storage_;
  std::size_t capacity_;
  std::size_t start_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_RINGBUFFER_H_
