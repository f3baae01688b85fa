// A value or the reason why there is none.
#ifndef EBBRT_LIB_RESULT_H_
#define EBBRT_LIB_RESULT_H_

#include <concepts>
#include <new>
#include <type_traits>
#include <utility>

#include "lib/Assert.h"
#include "lib/Errno.h"

namespace ebbrt {

template <class T> class [[nodiscard]] Result {
 public:
  Result(Errno error) : error_(error), ok_(false) {}

  template <class U>
  requires(std::convertible_to<U&&, T> &&
           !std::same_as<std::remove_cvref_t<U>, Result> &&
           !std::same_as<std::remove_cvref_t<U>, Errno>) Result(U&& value)
      : value_(std::forward<U>(value)), ok_(true) {}

  Result(Result&& other) : ok_(other.ok_) { construct_from(std::move(other)); }
  Result& operator=(Result&& other) {
    if (this != &other) {
      destroy();
      ok_ = other.ok_;
      construct_from(std::move(other));
    }
    return *this;
  }
  ~Result() { destroy(); }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }

  Errno error() const {
    kassert(!ok_);
    return error_;
  }

  T& value() & {
    kassert(ok_);
    return value_;
  }
  const T& value() const& {
    kassert(ok_);
    return value_;
  }
  T&& value() && {
    kassert(ok_);
    return std::move(value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  void construct_from(Result&& other) {
    if (ok_)
      new (&value_) T(std::move(other.value_));
    else
      error_ = other.error_;
  }
  void destroy() {
    if (ok_)
      value_.~T();
  }

  union {
    T value_;
    Errno error_;
  };
  bool ok_;
};

template <> class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Errno error) : error_(error), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }

  Errno error() const {
    kassert(!ok_);
    return error_;
  }

 private:
  Errno error_{};
  bool ok_ = true;
};

}  // namespace ebbrt

#endif  // EBBRT_LIB_RESULT_H_
