// Checks before operators of LibTorch whose kernels trust their arguments.
#pragma once

#include <torch/csrc/jit/api/module.h>

namespace edge_runner {

// Puts a check before each operator in the module's code that torch would let end the process:
// codes of dtypes, layouts and memory formats that are none, a division by zero, attention, weight
// norms, embedding bags and packed sequences whose shapes do not go together. A check that fails is
// an error of the run, as torch's own checks are. Throws std::runtime_error where a constant in the
// code is such an argument.
void put_guards(const torch::jit::Module& module);

}  // namespace edge_runner
