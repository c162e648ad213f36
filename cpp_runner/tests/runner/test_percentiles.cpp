#include <gtest/gtest.h>

#include <numeric>

#include "tool/percentiles.hpp"

namespace edge_runner::tool {
namespace {

std::vector<double> first(std::size_t count) {
  std::vector<double> values(count);
  std::iota(values.begin(), values.end(), 0.0);
  return values;
}

TEST(Percentiles, NearestRankIsOneOfTheValues) {
  EXPECT_EQ(nearest_rank({50, 15, 40, 20, 35}, 30), 20);
  EXPECT_EQ(nearest_rank({50, 15, 40, 20, 35}, 50), 35);
  EXPECT_EQ(nearest_rank({3}, 99), 3);
}

// The floors that MLPerf Inference's rules give for early stopping.
TEST(Percentiles, TooFewRunsSayNothing) {
  EXPECT_FALSE(sure(first(63), 90));
  EXPECT_EQ(sure(first(64), 90), 63);
  EXPECT_FALSE(sure(first(661), 99));
  EXPECT_EQ(sure(first(662), 99), 661);
  EXPECT_FALSE(sure({}, 90));
}

TEST(Percentiles, MoreRunsComeDownToThePercentile) {
  const auto estimate = sure(first(1000000), 90);
  ASSERT_TRUE(estimate);
  EXPECT_GE(*estimate, 900000);
  EXPECT_LT(*estimate, 901000);
}

// The first values of the generator's own program, from seeds 0 and 1234567.
TEST(Draw, IsSplitMix) {
  constexpr std::size_t all = ~std::size_t{0};
  EXPECT_EQ(draw(0, 0, all), 0xE220A8397B1DCDAF);
  EXPECT_EQ(draw(0, 1, all), 0x6E789E6AA1B965F4);
  EXPECT_EQ(draw(1234567, 0, all), 6457827717110365317U);
}

}  // namespace
}  // namespace edge_runner::tool
