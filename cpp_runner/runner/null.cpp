#include "runner/backend.hpp"

namespace edge_runner {
namespace {

class NullModel final : public Model {
 public:
  NullModel(std::vector<Port> inputs, std::vector<Port> outputs, int threads)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)), threads_(threads) {}

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) override {
    std::int64_t batch = 1;
    for (std::size_t i = inputs_.size(); i-- > 0;) {
      if (inputs_[i].batch_axis) batch = inputs[i].shape[*inputs_[i].batch_axis];
    }
    std::vector<Tensor> answers;
    answers.reserve(outputs_.size());
    for (const Port& port : outputs_) answers.push_back(zeros(port, batch));
    return answers;
  }

  [[nodiscard]] About about() const override {
    return {.backend = Backend::null, .version = "1", .threads = threads_, .engine = {}};
  }

 private:
  // An axis of any size is 1 long, but for that of the batch.
  static Tensor zeros(const Port& port, std::int64_t batch) {
    Tensor tensor{port.dtype, {}, {}};
    std::size_t bytes = size_of(port.dtype);
    for (std::size_t axis = 0; axis < port.shape.size(); ++axis) {
      tensor.shape.push_back(port.shape[axis].value_or(axis == port.batch_axis ? batch : 1));
      bytes *= static_cast<std::size_t>(tensor.shape.back());
    }
    tensor.data.resize(bytes);
    return tensor;
  }

  std::vector<Port> inputs_, outputs_;
  int threads_;
};

}  // namespace

Result<std::unique_ptr<Model>> open_null(const Request& request) {
  return std::unique_ptr<Model>(std::make_unique<NullModel>(
      request.manifest.inputs, request.manifest.outputs, request.threads));
}

}  // namespace edge_runner
