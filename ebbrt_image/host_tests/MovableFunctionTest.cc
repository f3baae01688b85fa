#include "event/MovableFunction.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace {

using ebbrt::MovableFunction;

// Counts the live instances of a callable.
struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  ~Counted() { --*alive_; }
  int* alive_;
};

TEST(MovableFunction, EmptyIsFalse) {
  MovableFunction<void()> empty;
  EXPECT_FALSE(empty);
  auto moved = std::move(empty);
  EXPECT_FALSE(moved);
}

TEST(MovableFunction, PassesArgumentsAndResult) {
  MovableFunction<std::string(std::unique_ptr<int>, const std::string&)> f =
      [](std::unique_ptr<int> number, const std::string& text) {
        return text + std::to_string(*number);
      };
  EXPECT_TRUE(f);
  EXPECT_EQ(f(std::make_unique<int>(7), "n"), "n7");
}

TEST(MovableFunction, ReferenceArgumentIsNotCopied) {
  MovableFunction<void(int&)> f = [](int& n) { n = 5; };
  int n = 0;
  f(n);
  EXPECT_EQ(n, 5);
}

TEST(MovableFunction, KeepsStateBetweenCalls) {
  MovableFunction<int()> f = [n = 0]() mutable { return ++n; };
  EXPECT_EQ(f(), 1);
  auto moved = std::move(f);
  EXPECT_FALSE(f);
  EXPECT_EQ(moved(), 2);
}

TEST(MovableFunction, OwnsMoveOnlyState) {
  MovableFunction<int()> f = [p = std::make_unique<int>(3)] { return *p; };
  MovableFunction<int()> g = [] { return 0; };
  g = std::move(f);
  EXPECT_EQ(g(), 3);
}

// Small callables lie inside, large ones on the heap; both live exactly once.
template <size_t kPadding> void ExpectOneLife() {
  int alive = 0;
  {
    struct Callable : Counted {
      using Counted::Counted;
      int operator()() { return padding[kPadding - 1]; }
      char padding[kPadding] = {};
    };
    MovableFunction<int()> f = Callable(alive);
    EXPECT_EQ(alive, 1);
    auto g = std::move(f);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(g(), 0);
    MovableFunction<int()> h = Callable(alive);
    EXPECT_EQ(alive, 2);
    h = std::move(g);
    EXPECT_EQ(alive, 1);
    auto& self = h;
    h = std::move(self);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(h(), 0);
  }
  EXPECT_EQ(alive, 0);
}

TEST(MovableFunction, SmallCallableLivesOnce) {
  ExpectOneLife<1>();
}
TEST(MovableFunction, LargeCallableLivesOnce) {
  ExpectOneLife<200>();
}

TEST(MovableFunction, OverAlignedCallableIsAligned) {
  struct alignas(64) Callable {
    bool operator()() { return reinterpret_cast<uintptr_t>(this) % 64 == 0; }
  };
  MovableFunction<bool()> f = Callable();
  EXPECT_TRUE(f());
  auto g = std::move(f);
  EXPECT_TRUE(g());
}

// FunctionTask moves its function out and frees itself before the call.
TEST(MovableFunction, MovedOutFunctionMayOutliveItsHome) {
  auto home = std::make_unique<MovableFunction<int()>>(
      [p = std::make_unique<int>(9)] { return *p; });
  auto f = std::move(*home);
  home.reset();
  EXPECT_EQ(f(), 9);
}

}  // namespace
