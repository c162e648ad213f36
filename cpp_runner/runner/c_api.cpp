#include "edge_runner/edge_runner.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include "edge_runner/runner.hpp"

// The shape that C is shown: -1 for an axis of any size.
struct edge_runner_t {
  edge_runner::Runner runner;
  std::vector<edge_runner::Shape> inputs, outputs;
};

struct edge_outputs {
  std::vector<edge_runner::Tensor> tensors;
};

namespace {

using edge_runner::Code;

static_assert(EDGE_NOT_A_BUNDLE == static_cast<int>(Code::not_a_bundle));
static_assert(EDGE_WRONG_HASH == static_cast<int>(Code::wrong_hash));
static_assert(EDGE_UNSAFE_MODEL == static_cast<int>(Code::unsafe_model));
static_assert(EDGE_CANNOT_READ == static_cast<int>(Code::cannot_read));
static_assert(EDGE_OUT_OF_MEMORY == static_cast<int>(Code::out_of_memory));
static_assert(EDGE_INTERNAL == static_cast<int>(Code::internal));
static_assert(EDGE_FLOAT64 == static_cast<int>(edge_runner::DType::float64));
static_assert(EDGE_NULL == static_cast<int>(edge_runner::Backend::null));

edge_status report(edge_error* out, Code code, std::string_view message) {
  const auto status = static_cast<edge_status>(code);
  if (out != nullptr) {
    out->status = status;
    const std::size_t kept = std::min(message.size(), sizeof out->message - 1);
    std::memcpy(out->message, message.data(), kept);
    out->message[kept] = '\0';
  }
  return status;
}

edge_status report(edge_error* out, const edge_runner::Error& error) {
  return report(out, error.code, error.message);
}

// Calls `work`, which gives an edge_status and may run out of memory.
template <typename Work>
edge_status guarded(edge_error* error, Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return report(error, Code::out_of_memory, "out of memory");
  } catch (const std::exception& thrown) {
    return report(error, Code::internal, thrown.what());
  } catch (...) {
    return report(error, Code::internal, "something that is no exception was thrown");
  }
}

edge_runner::Options options_of(const edge_options& given) {
  edge_runner::Options options;
  if (given.artifact != nullptr) options.artifact = given.artifact;
  options.backend = static_cast<edge_runner::Backend>(given.backend);
  options.threads = given.threads == 0 ? 1 : given.threads == -1 ? 0 : given.threads;
  options.spinning = given.spinning != 0;
  options.allow_failed = given.allow_failed != 0;
  return options;
}

std::vector<edge_runner::Shape> shapes_of(const std::vector<edge_runner::Port>& ports) {
  std::vector<edge_runner::Shape> shapes;
  for (const edge_runner::Port& port : ports) {
    edge_runner::Shape& shape = shapes.emplace_back();
    for (const auto& axis : port.shape) shape.push_back(axis.value_or(-1));
  }
  return shapes;
}

edge_port port_of(const edge_runner::Port& port, const edge_runner::Shape& shape) {
  const auto batch = port.batch_axis ? static_cast<std::int64_t>(*port.batch_axis) : -1;
  return {port.name.c_str(), static_cast<edge_dtype>(port.dtype), shape.data(), shape.size(),
          batch};
}

// Null where a pointer is missing for what is to be there.
bool whole(const edge_tensor& tensor) {
  return (tensor.shape != nullptr || tensor.rank == 0) &&
         (tensor.data != nullptr || tensor.bytes == 0) && tensor.dtype >= EDGE_BOOL &&
         tensor.dtype <= EDGE_FLOAT64;
}

edge_runner::Tensor copied(const edge_tensor& tensor) {
  const auto* data = static_cast<const std::byte*>(tensor.data);
  return {static_cast<edge_runner::DType>(tensor.dtype),
          edge_runner::Shape(tensor.shape, tensor.shape + tensor.rank),
          edge_runner::Bytes(data, data + tensor.bytes)};
}

}  // namespace

edge_status edge_open(const char* folder, const edge_options* options, edge_runner_t** runner,
                      edge_error* error) {
  if (runner != nullptr) *runner = nullptr;
  if (folder == nullptr || runner == nullptr) {
    return report(error, Code::bad_argument, "edge_open: folder and runner must not be NULL");
  }
  if (options != nullptr && (options->backend < EDGE_AUTOMATIC || options->backend > EDGE_NULL)) {
    return report(error, Code::bad_argument, "edge_open: no such backend");
  }
  return guarded(error, [&] {
    const auto bundle = edge_runner::Bundle::open(folder);
    if (!bundle) return report(error, bundle.error());
    auto opened =
        edge_runner::Runner::open(*bundle, options ? options_of(*options) : edge_runner::Options{});
    if (!opened) return report(error, opened.error());
    const edge_runner::Manifest& manifest = bundle->manifest();
    *runner = new edge_runner_t{*std::move(opened), shapes_of(manifest.inputs),
                                shapes_of(manifest.outputs)};
    return report(error, Code::ok, "");
  });
}

edge_status edge_run(const edge_runner_t* runner, const edge_tensor* inputs, size_t count,
                     edge_outputs** outputs, edge_error* error) {
  if (outputs != nullptr) *outputs = nullptr;
  if (runner == nullptr || outputs == nullptr || (inputs == nullptr && count != 0)) {
    return report(error, Code::bad_argument, "edge_run: an argument is NULL");
  }
  if (!std::all_of(inputs, inputs + count, whole)) {
    return report(error, Code::bad_argument, "edge_run: a tensor has no data, shape or dtype");
  }
  return guarded(error, [&] {
    std::vector<edge_runner::Tensor> tensors;
    std::transform(inputs, inputs + count, std::back_inserter(tensors), copied);
    auto answers = runner->runner.run(tensors);
    if (!answers) return report(error, answers.error());
    *outputs = new edge_outputs{*std::move(answers)};
    return report(error, Code::ok, "");
  });
}

void edge_close(edge_runner_t* runner) {
  if (runner != nullptr) runner->runner.close();
}

void edge_free(edge_runner_t* runner) { delete runner; }

size_t edge_input_count(const edge_runner_t* runner) { return runner->inputs.size(); }
size_t edge_output_count(const edge_runner_t* runner) { return runner->outputs.size(); }

edge_port edge_input_port(const edge_runner_t* runner, size_t index) {
  return port_of(runner->runner.bundle().manifest().inputs[index], runner->inputs[index]);
}

edge_port edge_output_port(const edge_runner_t* runner, size_t index) {
  return port_of(runner->runner.bundle().manifest().outputs[index], runner->outputs[index]);
}

const char* edge_artifact_id(const edge_runner_t* runner) {
  return runner->runner.artifact().id.c_str();
}

edge_tensor edge_output(const edge_outputs* outputs, size_t index) {
  const edge_runner::Tensor& tensor = outputs->tensors[index];
  return {static_cast<edge_dtype>(tensor.dtype), tensor.shape.data(), tensor.shape.size(),
          tensor.data.data(), tensor.data.size()};
}

void edge_outputs_free(edge_outputs* outputs) { delete outputs; }

const char* edge_status_name(edge_status status) {
  return edge_runner::to_string(static_cast<Code>(status)).data();  // literals, so ended by a zero
}
