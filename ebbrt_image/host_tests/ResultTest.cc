#include "lib/Result.h"

#include <memory>

#include <gtest/gtest.h>

namespace {

using ebbrt::Errno;
using ebbrt::Result;

struct Base {
  virtual ~Base() = default;
};
struct Derived : Base {};

TEST(Result, HoldsValueOrError) {
  Result<int> value = 5;
  Result<int> error = Errno::kAgain;
  EXPECT_TRUE(value.ok());
  EXPECT_EQ(value.value(), 5);
  EXPECT_FALSE(error);
  EXPECT_EQ(error.error(), Errno::kAgain);
}

TEST(Result, MovesAndConverts) {
  Result<std::unique_ptr<Base>> result = std::make_unique<Derived>();
  ASSERT_TRUE(result.ok());
  auto moved = std::move(result);
  auto pointer = std::move(moved).value();
  EXPECT_NE(pointer, nullptr);
  moved = Errno::kIo;
  EXPECT_EQ(moved.error(), Errno::kIo);
  moved = Result<std::unique_ptr<Base>>(std::move(pointer));
  EXPECT_NE(moved->get(), nullptr);
}

TEST(Result, Void) {
  EXPECT_TRUE(Result<void>().ok());
  EXPECT_EQ(Result<void>(Errno::kInvalid).error(), Errno::kInvalid);
}

TEST(ResultDeathTest, WrongSideIsCaught) {
  Result<int> error = Errno::kAgain;
  EXPECT_DEATH(error.value(), "assertion failed");
  Result<int> value = 1;
  EXPECT_DEATH(static_cast<void>(value.error()), "assertion failed");
}

}  // namespace
