// Reference counts inside the object. A new object has one reference, which
// MakeRef hands to the RefPtr it returns.
#ifndef EBBRT_LIB_REFCOUNTED_H_
#define EBBRT_LIB_REFCOUNTED_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "lib/Assert.h"

namespace ebbrt {

// For objects that stay on one core. T is the class that is deleted; it needs a
// virtual destructor if others derive from it.
template <class T> class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void AddRef() const { ++count_; }
  void DropRef() const {
    kassert(count_ > 0);
    if (--count_ == 0)
      delete static_cast<const T*>(this);
  }
  std::uint32_t ref_count() const { return count_; }

 protected:
  RefCounted() = default;
  ~RefCounted() = default;

 private:
  mutable std::uint32_t count_ = 1;
};

// For objects that several cores hold.
template <class T> class AtomicRefCounted {
 public:
  AtomicRefCounted(const AtomicRefCounted&) = delete;
  AtomicRefCounted& operator=(const AtomicRefCounted&) = delete;

  void AddRef() const { count_.fetch_add(1, std::memory_order_relaxed); }
  void DropRef() const {
    // The last dropper must see what the others did to the object.
    auto before = count_.fetch_sub(1, std::memory_order_acq_rel);
    kassert(before > 0);
    if (before == 1)
      delete static_cast<const T*>(this);
  }
  std::uint32_t ref_count() const {
    return count_.load(std::memory_order_relaxed);
  }

 protected:
  AtomicRefCounted() = default;
  ~AtomicRefCounted() = default;

 private:
  mutable std::atomic<std::uint32_t> count_{1};
};

template <class T> class RefPtr {
 public:
  RefPtr() = default;
  RefPtr(std::nullptr_t) {}
  // Adds a reference of its own.
  explicit RefPtr(T* object) : object_(object) {
    if (object_)
      object_->AddRef();
  }
  // Takes over a reference that the caller holds.
  static RefPtr Adopt(T* object) {
    RefPtr pointer;
    pointer.object_ = object;
    return pointer;
  }

  RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
  RefPtr(RefPtr&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
  requires(std::is_convertible_v<U*, T*>) RefPtr(const RefPtr<U>& other)
      : RefPtr(static_cast<T*>(other.get())) {}
  template <class U>
  requires(std::is_convertible_v<U*, T*>) RefPtr(RefPtr<U>&& other)
  noexcept : object_(other.Release()) {}
  RefPtr& operator=(RefPtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~RefPtr() {
    if (object_)
      object_->DropRef();
  }

  T* get() const { return object_; }
  T& operator*() const {
    kassert(object_ != nullptr);
    return *object_;
  }
  T* operator->() const {
    kassert(object_ != nullptr);
    return object_;
  }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const RefPtr& other) const = default;
  bool operator==(std::nullptr_t) const { return object_ == nullptr; }

  // Gives the reference to the caller, who must drop it.
  [[nodiscard]] T* Release() { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

template <class T, class... Args> RefPtr<T> MakeRef(Args&&... args) {
  return RefPtr<T>::Adopt(new T(std::forward<Args>(args)...));
}

}  // namespace ebbrt

#endif  // EBBRT_LIB_REFCOUNTED_H_
