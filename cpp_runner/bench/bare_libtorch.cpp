// The least that a program must do to run a TorchScript file: no bundle, no checks, no copies.
#include <ATen/Parallel.h>
#include <torch/csrc/jit/serialization/import.h>

#include "bare.hpp"

int main(int, char** argv) {
  bare::Arguments given(argv);
  at::set_num_threads(1);
  const auto start = bare::Clock::now();
  torch::jit::Module module = torch::jit::load(given.model, at::kCPU);
  module.eval();
  const double load_ms = bare::ms_since(start);

  const at::Tensor input =
      at::from_blob(given.input.data(), given.shape, given.bytes ? at::kByte : at::kFloat);
  torch::jit::Method forward = module.get_method("forward");
  const c10::InferenceMode no_gradients;
  bare::measure(load_ms, given.seconds, [&] { forward({input}); });
}
