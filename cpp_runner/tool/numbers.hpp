// The numbers of a tensor, whatever their type.
#pragma once

#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// As 64-bit floats; integers beyond 2^53 are rounded.
std::vector<double> numbers(const Tensor& tensor);

// Samples one behind the other along the batch axis: all of one dtype and shape but for that axis.
Tensor stacked(const std::vector<const Tensor*>& tensors);

// `count` samples from `first` on.
Tensor rows(const Tensor& tensor, std::size_t first, std::size_t count);

}  // namespace edge_runner::tool
