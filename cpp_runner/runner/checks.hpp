// Whether tensors are what the signature says, before and after a run.
#pragma once

#include <span>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner {

// Number, dtype, rank, fixed axes, one batch size for all, no empty batch, no empty picture, as
// many bytes as the shape says, bools of 0 and 1. Gives the batch size. Code: bad_input.
Result<std::int64_t> check_inputs(std::span<const Port> ports, std::span<const Tensor> tensors);

// Number, dtype, rank, fixed axes, batch size; no NaN and no infinity. Codes: bad_output,
// not_finite.
Result<Done> check_outputs(std::span<const Port> ports, std::span<const Tensor> tensors,
                           std::int64_t batch);

}  // namespace edge_runner
