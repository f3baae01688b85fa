// A value that comes later. Promise and Future belong to one core; another core
// fulfils a promise by spawning an event on its core.
#ifndef EBBRT_EVENT_FUTURE_H_
#define EBBRT_EVENT_FUTURE_H_

#include <optional>
#include <type_traits>
#include <utility>

#include "event/EventManager.h"
#include "lib/RefCounted.h"

namespace ebbrt {

template <class T> class Future;

template <class T> class Promise {
 public:
  Promise() : state_(MakeRef<State>()) {}
  Promise(Promise&&) = default;
  Promise& operator=(Promise&&) = default;

  // Once only. The continuation runs before this returns.
  void SetValue(T value) {
    kbugon(state_->value.has_value(), "promise fulfilled twice");
    // The continuation may end this promise.
    auto state = state_;
    state->value.emplace(std::move(value));
    if (state->continuation) {
      auto continuation = std::move(state->continuation);
      continuation();
    }
  }

  Future<T> GetFuture() { return Future<T>(state_); }

 private:
  friend class Future<T>;
  struct State : RefCounted<State> {
    std::optional<T> value;
    MovableFunction<void()> continuation;
  };
  RefPtr<State> state_;
};

template <class T> class Future {
 public:
  Future(Future&&) = default;
  Future& operator=(Future&&) = default;

  bool ready() const { return state_->value.has_value(); }

  // Runs f(T) as soon as the value is there, now if it is; the result is a
  // future of what f returns (bool true for void).
  template <class F> auto Then(F f) {
    using Raw = std::invoke_result_t<F, T>;
    using R = std::conditional_t<std::is_void_v<Raw>, bool, Raw>;
    Promise<R> promise;
    auto future = promise.GetFuture();
    // The state holds the continuation, which must not hold the state: a
    // promise that is never fulfilled takes both with it.
    auto run = [state = state_.get(), promise = std::move(promise),
                f = std::move(f)]() mutable {
      if constexpr (std::is_void_v<Raw>) {
        f(std::move(*state->value));
        promise.SetValue(true);
      } else {
        promise.SetValue(f(std::move(*state->value)));
      }
    };
    if (ready())
      run();
    else
      state_->continuation = std::move(run);
    return future;
  }

  // Blocks the running event until the value is there.
  T Block() {
    if (!ready()) {
      EventContext context;
      state_->continuation = [&context] {
        EventManager::ActivateContext(context);
      };
      event_manager->SaveContext(context);
    }
    return std::move(*state_->value);
  }

 private:
  friend class Promise<T>;
  using State = typename Promise<T>::State;
  explicit Future(RefPtr<State> state) : state_(std::move(state)) {}
  RefPtr<State> state_;
};

template <class T> Future<T> MakeReadyFuture(T value) {
  Promise<T> promise;
  promise.SetValue(std::move(value));
  return promise.GetFuture();
}

}  // namespace ebbrt

#endif  // EBBRT_EVENT_FUTURE_H_
