#include "lib/RefCounted.h"

#include <thread>

#include <gtest/gtest.h>

namespace {

using ebbrt::MakeRef;
using ebbrt::RefPtr;

struct Base : ebbrt::RefCounted<Base> {
  explicit Base(int& deaths) : deaths_(deaths) {}
  virtual ~Base() { ++deaths_; }
  int& deaths_;
};
struct Derived : Base {
  using Base::Base;
};

TEST(RefCounted, LastReferenceDeletes) {
  int deaths = 0;
  {
    auto derived = MakeRef<Derived>(deaths);
    RefPtr<Base> base = derived;
    EXPECT_EQ(base->ref_count(), 2u);
    derived = nullptr;
    EXPECT_EQ(base->ref_count(), 1u);
    EXPECT_EQ(deaths, 0);
    auto& self = base;
    base = self;
    EXPECT_EQ(base->ref_count(), 1u);
  }
  EXPECT_EQ(deaths, 1);
}

TEST(RefCounted, MoveAndReleaseHandOver) {
  int deaths = 0;
  auto pointer = MakeRef<Base>(deaths);
  auto moved = std::move(pointer);
  EXPECT_FALSE(pointer);
  auto raw = moved.Release();
  EXPECT_EQ(raw->ref_count(), 1u);
  EXPECT_EQ(deaths, 0);
  raw->DropRef();
  EXPECT_EQ(deaths, 1);
}

struct Shared : ebbrt::AtomicRefCounted<Shared> {
  explicit Shared(std::atomic<int>& deaths) : deaths_(deaths) {}
  ~Shared() { ++deaths_; }
  std::atomic<int>& deaths_;
};

TEST(AtomicRefCounted, CountsAcrossThreads) {
  std::atomic<int> deaths = 0;
  {
    auto shared = MakeRef<Shared>(deaths);
    auto work = [shared] {
      for (int i = 0; i < 10000; ++i)
        auto copy = shared;
    };
    std::thread first(work), second(work);
    first.join();
    second.join();
  }
  EXPECT_EQ(deaths, 1);
}

}  // namespace
