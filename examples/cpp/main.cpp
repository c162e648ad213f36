// Runs a bundle of a picture classifier on a grey square:  consumer FOLDER
#include <edge_runner/runner.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto bundle = edge_runner::Bundle::open(argv[1]);
  if (!bundle) {
    std::cerr << bundle.error().message << '\n';
    return 1;
  }
  const auto runner = edge_runner::Runner::open(*bundle, {});
  if (!runner) {
    std::cerr << runner.error().message << '\n';
    return 1;
  }
  const auto channels = bundle->manifest().inputs[0].shape.back().value_or(1);
  const edge_runner::Shape shape = {1, 28, 28, channels};
  const std::vector<std::uint8_t> pixels(static_cast<std::size_t>(28 * 28 * channels), 128);
  const std::vector<edge_runner::Tensor> inputs = {
      edge_runner::Tensor::of<std::uint8_t>(shape, pixels)};
  const auto answer = runner->run(inputs);
  if (!answer) {
    std::cerr << answer.error().message << '\n';
    return 1;
  }
  std::cout << runner->artifact().id << ':';
  for (const float score : answer->front().values<float>()) std::cout << ' ' << score;
  std::cout << '\n';
}
