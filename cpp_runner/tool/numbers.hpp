// The numbers of a tensor, whatever their type.
#pragma once

#include <optional>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// As 64-bit floats; integers beyond 2^53 are rounded.
std::vector<double> numbers(const Tensor& tensor);

// An axis that counts samples; none: all samples share the tensor.
using BatchAxis = std::optional<std::size_t>;

// How many samples it holds; one without such an axis.
std::size_t samples_of(const Tensor& tensor, BatchAxis axis);

// Whether two can be stacked: of one dtype and shape but for that axis, and without one the same.
bool stackable(const Tensor& a, const Tensor& b, BatchAxis axis);

// Samples one behind the other along the axis; the first of them without one.
Tensor stacked(const std::vector<const Tensor*>& tensors, BatchAxis axis);

// `count` samples from `first` on; all of it without such an axis.
Tensor rows(const Tensor& tensor, BatchAxis axis, std::size_t first, std::size_t count);

}  // namespace edge_runner::tool
