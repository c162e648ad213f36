#include "tool/percentiles.hpp"

#include <algorithm>
#include <cmath>

namespace edge_runner::tool {
namespace {

constexpr double confidence = 0.99;  // as MLPerf Inference asks of a percentile

// The largest t with P(Binomial(count, share) <= t) < 1 - confidence; -1 if there is none.
std::ptrdiff_t allowed(std::size_t count, double share) {
  const auto n = static_cast<double>(count);
  double log_odds = n * std::log1p(-share);
  double odds = 0;
  for (std::size_t k = 0; k <= count; ++k) {
    odds += std::exp(log_odds);
    if (odds >= 1 - confidence) return static_cast<std::ptrdiff_t>(k) - 1;
    const auto done = static_cast<double>(k);
    log_odds += std::log((n - done) / (done + 1) * (share / (1 - share)));
  }
  return static_cast<std::ptrdiff_t>(count);
}

}  // namespace

double nearest_rank(std::vector<double> values, double percent) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::optional<double> sure(std::vector<double> values, double percent) {
  const std::ptrdiff_t above = allowed(values.size(), 1 - percent / 100);
  if (above < 1) return std::nullopt;
  const auto at = values.end() - above;
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::size_t draw(std::uint64_t seed, std::size_t number, std::size_t count) {
  std::uint64_t value = seed + (number + 1) * 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return static_cast<std::size_t>((value ^ (value >> 31)) % count);
}

}  // namespace edge_runner::tool
