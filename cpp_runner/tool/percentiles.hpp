// Percentiles that are times which were measured, how sure they are, and which sample a run takes.
// pipeline/measure/timing has the same in Python; tests/bench holds the two together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace edge_runner::tool {

// The smallest value that at least `percent` of all are not above: the nearest-rank method.
double nearest_rank(std::vector<double> values, double percent);

// A value that the true percentile is not above, with 99 % confidence: the estimate of MLPerf
// LoadGen's early stopping. Nothing if there are too few values (p90 takes 64, p99 takes 662).
std::optional<double> sure(std::vector<double> values, double percent);

// An index below `count` for run `number`: the `number`th value of SplitMix64 from `seed`, modulo
// `count`. With replacement, as LoadGen draws.
std::size_t draw(std::uint64_t seed, std::size_t number, std::size_t count);

}  // namespace edge_runner::tool
