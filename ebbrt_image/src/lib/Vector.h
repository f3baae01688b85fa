// Growable array. Elements may be move-only; growing moves them, so pointers
// into the array do not survive PushBack, Reserve or Resize.
#ifndef EBBRT_LIB_VECTOR_H_
#define EBBRT_LIB_VECTOR_H_

#include <cstddef>
#include <new>
#include <span>
#include <utility>

#include "lib/Assert.h"

namespace ebbrt {

template <class T> class Vector {
  static_assert(alignof(T) <= 16, "operator new aligns to 16 bytes");

 public:
  Vector() = default;
  Vector(const Vector&) = delete;
  Vector& operator=(const Vector&) = delete;
  Vector(Vector&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Vector& operator=(Vector&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, 0);
    }
    return *this;
  }
  ~Vector() { release(); }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  T& operator[](std::size_t index) {
    kassert(index < size_);
    return data_[index];
  }
  const T& operator[](std::size_t index) const {
    kassert(index < size_);
    return data_[index];
  }
  T& front() { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  operator std::span<T>() { return {data_, size_}; }
  operator std::span<const T>() const { return {data_, size_}; }

  void Reserve(std::size_t capacity) {
    if (capacity > capacity_)
      grow(capacity);
  }

  T& PushBack(T value) {
    // `value` is our own copy, so growing cannot pull it from under us.
    if (size_ == capacity_)
      grow(capacity_ == 0 ? kFirstCapacity : capacity_ * 2);
    return *new (&data_[size_++]) T(std::move(value));
  }

  T PopBack() {
    kassert(size_ > 0);
    T value(std::move(data_[--size_]));
    data_[size_].~T();
    return value;
  }

  // New elements are value-initialised.
  void Resize(std::size_t size) {
    while (size_ > size)
      data_[--size_].~T();
    Reserve(size);
    while (size_ < size)
      new (&data_[size_++]) T();
  }

  void Insert(std::size_t index, T value) {
    kassert(index <= size_);
    PushBack(std::move(value));
    for (auto i = size_ - 1; i > index; --i)
      std::swap(data_[i], data_[i - 1]);
  }

  // Keeps the order of the rest; costs as many moves as elements follow.
  void Erase(std::size_t index) {
    kassert(index < size_);
    for (auto i = index; i + 1 < size_; ++i)
      data_[i] = std::move(data_[i + 1]);
    data_[--size_].~T();
  }

  // Constant time: the last element takes the place of the erased one.
  void EraseUnordered(std::size_t index) {
    kassert(index < size_);
    if (index != size_ - 1)
      data_[index] = std::move(data_[size_ - 1]);
    data_[--size_].~T();
  }

  void Clear() { Resize(0); }

 private:
  static constexpr std::size_t kFirstCapacity = 4;

  void grow(std::size_t capacity) {
    kbugon(capacity > static_cast<std::size_t>(-1) / sizeof(T));
    auto data = static_cast<T*>(::operator new(capacity * sizeof(T)));
    for (std::size_t i = 0; i < size_; ++i) {
      new (&data[i]) T(std::move(data_[i]));
      data_[i].~T();
    }
    ::operator delete(data_, capacity_ * sizeof(T));
    data_ = data;
    capacity_ = capacity;
  }

  void release() {
    Clear();
    ::operator delete(data_, capacity_ * sizeof(T));
    data_ = nullptr;
    capacity_ = 0;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_VECTOR_H_
