// A callable that may own move-only state. Small ones need no heap.
#ifndef EBBRT_EVENT_MOVABLEFUNCTION_H_
#define EBBRT_EVENT_MOVABLEFUNCTION_H_

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace ebbrt {

template <class Signature> class MovableFunction;

template <class R, class... Args> class MovableFunction<R(Args...)> {
 public:
  MovableFunction() = default;

  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, MovableFunction>)
      MovableFunction(F&& function) {
    using Function = std::remove_cvref_t<F>;
    if constexpr (sizeof(Function) <= kInline &&
                  alignof(Function) <= alignof(void*)) {
      new (storage_) Function(std::forward<F>(function));
      operations_ = &kInlineOperations<Function>;
    } else {
      *reinterpret_cast<Function**>(storage_) =
          new Function(std::forward<F>(function));
      operations_ = &kHeapOperations<Function>;
    }
  }

  MovableFunction(MovableFunction&& other) noexcept { take(other); }
  MovableFunction& operator=(MovableFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~MovableFunction() { reset(); }

  explicit operator bool() const { return operations_ != nullptr; }

  R operator()(Args... args) {
    return operations_->call(storage_, std::forward<Args>(args)...);
  }

 private:
  static constexpr size_t kInline = 3 * sizeof(void*);

  struct Operations {
    R (*call)(void* storage, Args&&... args);
    void (*move)(void* from, void* to);
    void (*destroy)(void* storage);
  };

  template <class F>
  static constexpr Operations kInlineOperations = {
      [](void* storage, Args&&... args) -> R {
        return (*static_cast<F*>(storage))(std::forward<Args>(args)...);
      },
      [](void* from, void* to) {
        new (to) F(std::move(*static_cast<F*>(from)));
        static_cast<F*>(from)->~F();
      },
      [](void* storage) { static_cast<F*>(storage)->~F(); }};

  template <class F>
  static constexpr Operations kHeapOperations = {
      [](void* storage, Args&&... args) -> R {
        return (**static_cast<F**>(storage))(std::forward<Args>(args)...);
      },
      [](void* from, void* to) {
        *static_cast<F**>(to) = *static_cast<F**>(from);
      },
      [](void* storage) { delete *static_cast<F**>(storage); }};

  void take(MovableFunction& other) {
    operations_ = std::exchange(other.operations_, nullptr);
    if (operations_)
      operations_->move(other.storage_, storage_);
  }

  void reset() {
    if (operations_)
      std::exchange(operations_, nullptr)->destroy(storage_);
  }

  const Operations* operations_ = nullptr;
  alignas(void*) char storage_[kInline];
};

}  // namespace ebbrt

#endif  // EBBRT_EVENT_MOVABLEFUNCTION_H_
