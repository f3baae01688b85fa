// Map from 64-bit keys to T: open addressing with linear probing. Pointers to
// values do not survive Insert or Erase.
#ifndef EBBRT_LIB_HASHMAP_H_
#define EBBRT_LIB_HASHMAP_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "lib/Assert.h"

namespace ebbrt {

template <class T> class HashMap {
  static_assert(alignof(T) <= 16, "operator new aligns to 16 bytes");

 public:
  HashMap() = default;
  HashMap(const HashMap&) = delete;
  HashMap& operator=(const HashMap&) = delete;
  HashMap(HashMap&& other) noexcept { swap(other); }
  HashMap& operator=(HashMap&& other) noexcept {
    if (this != &other) {
      release();
      swap(other);
    }
    return *this;
  }
  ~HashMap() { release(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Null when the key is absent.
  T* Find(std::uint64_t key) {
    auto index = find_index(key);
    return index == kNone ? nullptr : &slots_[index].value;
  }
  const T* Find(std::uint64_t key) const {
    return const_cast<HashMap*>(this)->Find(key);
  }
  bool Contains(std::uint64_t key) const { return find_index(key) != kNone; }

  // Returns the value's place, or null when the key was there already (the old
  // value then stays).
  T* Insert(std::uint64_t key, T value) {
    if (Contains(key))
      return nullptr;
    if ((size_ + 1) * 4 > capacity_ * 3)
      grow();
    auto index = free_index(key);
    auto& slot = slots_[index];
    slot.key = key;
    slot.used = true;
    new (&slot.value) T(std::move(value));
    ++size_;
    return &slot.value;
  }

  // False when the key was absent.
  bool Erase(std::uint64_t key) {
    auto hole = find_index(key);
    if (hole == kNone)
      return false;
    clear_slot(slots_[hole]);
    --size_;
    // Pull later elements of the probe run back, so that no tombstones pile up.
    for (auto at = next(hole); slots_[at].used; at = next(at)) {
      auto wanted = home(slots_[at].key);
      auto distance = (at - wanted) & (capacity_ - 1);
      auto to_hole = (at - hole) & (capacity_ - 1);
      if (distance < to_hole)
        continue;
      slots_[hole].key = slots_[at].key;
      slots_[hole].used = true;
      new (&slots_[hole].value) T(std::move(slots_[at].value));
      clear_slot(slots_[at]);
      hole = at;
    }
    return true;
  }

  void Clear() { release(); }

  // visit(key, value&) for every element, in no order. It must not change the
  // map itself.
  template <class F> void ForEach(F&& visit) {
    for (std::size_t i = 0; i < capacity_; ++i)
      if (slots_[i].used)
        visit(slots_[i].key, slots_[i].value);
  }
  template <class F> void ForEach(F&& visit) const {
    for (std::size_t i = 0; i < capacity_; ++i)
      if (slots_[i].used)
        visit(slots_[i].key, std::as_const(slots_[i].value));
  }

 private:
  struct Slot {
    Slot() {}
    ~Slot() {}
    std::uint64_t key = 0;
    bool used = false;
    union {
      T value;
    };
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  static constexpr std::size_t kFirstCapacity = 8;

  // Addresses and small counters are typical keys, so the bits are mixed.
  std::size_t home(std::uint64_t key) const {
    key ^= key >> 32;
    key *= 0x9e3779b97f4a7c15;
    key ^= key >> 29;
    return key & (capacity_ - 1);
  }
  std::size_t next(std::size_t index) const {
    return (index + 1) & (capacity_ - 1);
  }

  std::size_t find_index(std::uint64_t key) const {
    if (capacity_ == 0)
      return kNone;
    for (auto at = home(key); slots_[at].used; at = next(at))
      if (slots_[at].key == key)
        return at;
    return kNone;
  }
  std::size_t free_index(std::uint64_t key) const {
    auto at = home(key);
    while (slots_[at].used)
      at = next(at);
    return at;
  }

  static void clear_slot(Slot& slot) {
    slot.value.~T();
    slot.used = false;
  }

  void grow() {
    HashMap bigger;
    bigger.capacity_ = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
    bigger.slots_ = new Slot[bigger.capacity_];
    for (std::size_t i = 0; i < capacity_; ++i) {
      if (!slots_[i].used)
        continue;
      auto& slot = bigger.slots_[bigger.free_index(slots_[i].key)];
      slot.key = slots_[i].key;
      slot.used = true;
      new (&slot.value) T(std::move(slots_[i].value));
      ++bigger.size_;
    }
    swap(bigger);
  }

  void swap(HashMap& other) {
    std::swap(slots_, other.slots_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  void release() {
    for (std::size_t i = 0; i < capacity_; ++i)
      if (slots_[i].used)
        clear_slot(slots_[i]);
    delete[] slots_;
    slots_ = nullptr;
    size_ = capacity_ = 0;
  }

  Slot* slots_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_HASHMAP_H_
