// What is thrown inside becomes a Result: a failure as it is, a mistake as that.
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "bundle/failure.hpp"

namespace edge_runner {
namespace {

TEST(Guarded, HandsOnWhatFailed) {
  const auto result = guarded([]() -> int { fail(Code::wrong_hash, "a file"); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::wrong_hash);
  EXPECT_EQ(result.error().message, "a file");
}

TEST(Guarded, CallsAMistakeOne) {
  const auto result = guarded([]() -> int { throw std::out_of_range("vector::at"); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::internal);
  EXPECT_EQ(result.error().message, "a mistake of edge_runner: vector::at");
  EXPECT_EQ(guarded([]() -> int { throw 8; }).error().code, Code::internal);
}

TEST(Guarded, KnowsWhenMemoryIsOut) {
  EXPECT_EQ(guarded([]() -> int { throw std::bad_alloc(); }).error().code, Code::out_of_memory);
}

TEST(AnError, IsNeverOkByDefault) {
  EXPECT_EQ(Error{}.code, Code::internal);
  EXPECT_EQ(to_string(Error{}.code), "internal");
}

}  // namespace
}  // namespace edge_runner
