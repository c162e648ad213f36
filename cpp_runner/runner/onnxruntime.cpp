// ONNX Runtime on the CPU. Its library is not linked: one symbol is taken from what was loaded.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#include <onnxruntime_session_options_config_keys.h>

#include <dlfcn.h>

#include <array>
#include <string>
#include <utility>

#include "runner/backend.hpp"
#include "runner/message.hpp"

namespace edge_runner {
namespace {

constexpr std::array element_types = {
    std::pair{DType::boolean, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
    std::pair{DType::uint8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    std::pair{DType::int8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
    std::pair{DType::int16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
    std::pair{DType::int32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
    std::pair{DType::int64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    std::pair{DType::float16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    std::pair{DType::float32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    std::pair{DType::float64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
};

ONNXTensorElementDataType element_type(DType dtype) {
  for (const auto& [ours, theirs] : element_types) {
    if (ours == dtype) return theirs;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

Result<DType> dtype_of_element(ONNXTensorElementDataType type) {
  for (const auto& [ours, theirs] : element_types) {
    if (theirs == type) return ours;
  }
  return Error{Code::bad_output, "an output of an element type that bundles do not have"};
}

std::size_t bytes_of_element(DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
    case DType::int8:
      return 1;
    case DType::int16:
    case DType::float16:
      return 2;
    case DType::int32:
    case DType::float32:
      return 4;
    case DType::int64:
    case DType::float64:
      return 8;
  }
  return 0;
}

std::vector<std::string> names_of(const std::vector<Port>& ports) {
  std::vector<std::string> names;
  for (const Port& port : ports) names.push_back(port.name);
  return names;
}

class OnnxModel final : public Model {
 public:
  OnnxModel(const Request& request, std::string version)
      : env_(ORT_LOGGING_LEVEL_FATAL, "edge_runner"),
        session_(nullptr),
        input_names_(names_of(request.manifest.inputs)),
        output_names_(names_of(request.manifest.outputs)),
        about_{Backend::onnxruntime, std::move(version), request.threads, request.spinning, {}} {
    // Telemetry is off before this is loaded (telemetry.hpp), unless the program had loaded ONNX
    // Runtime by itself, before: then what has begun goes on, and this leaves out most events.
    env_.DisableTelemetryEvents();
    session_ = Ort::Session(env_, request.file.data(), request.file.size(), options(request));
    for (const auto& name : input_names_) inputs_.push_back(name.c_str());
    for (const auto& name : output_names_) outputs_.push_back(name.c_str());
  }

  // What the file calls its inputs and outputs, against what the manifest calls them.
  Result<Done> check_names() const {
    Ort::AllocatorWithDefaultOptions allocator;
    std::vector<std::string> inputs, outputs;
    for (std::size_t i = 0; i < session_.GetInputCount(); ++i) {
      inputs.emplace_back(session_.GetInputNameAllocated(i, allocator).get());
    }
    for (std::size_t i = 0; i < session_.GetOutputCount(); ++i) {
      outputs.emplace_back(session_.GetOutputNameAllocated(i, allocator).get());
    }
    if (inputs == input_names_ && outputs == output_names_) return Done{};
    return Error{Code::backend_failed,
                 "its inputs and outputs have other names than those of the manifest"};
  }

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) override {
    try {
      return answers(inputs);
    } catch (const Ort::Exception& error) {
      return failed(error.what());
    }
  }

  [[nodiscard]] About about() const override { return about_; }

 private:
  static Ort::SessionOptions options(const Request& request) {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(request.threads);
    options.SetInterOpNumThreads(1);
    options.SetExecutionMode(ORT_SEQUENTIAL);
    options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);  // errors come as statuses
    options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning,
                           request.spinning ? "1" : "0");
    // Nothing but the ONNX that was validated at: its own format is found by the first bytes
    // otherwise.
    options.AddConfigEntry(kOrtSessionOptionsConfigLoadModelFormat, "ONNX");
    return options;
  }

  Result<std::vector<Tensor>> answers(std::span<const Tensor> inputs) {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<Ort::Value> given;
    given.reserve(inputs.size());
    for (const Tensor& input : inputs) {
      // The API has no const, and reads only.
      void* data = const_cast<std::byte*>(input.data.data());
      given.push_back(Ort::Value::CreateTensor(memory, data, input.data.size(), input.shape.data(),
                                               input.shape.size(), element_type(input.dtype)));
    }
    const std::vector<Ort::Value> values =
        session_.Run(Ort::RunOptions{nullptr}, inputs_.data(), given.data(), given.size(),
                     outputs_.data(), outputs_.size());
    std::vector<Tensor> tensors;
    tensors.reserve(values.size());
    for (const Ort::Value& value : values) {
      auto tensor = copied(value);
      if (!tensor) return tensor.error();
      tensors.push_back(*std::move(tensor));
    }
    return tensors;
  }

  static Result<Tensor> copied(const Ort::Value& value) {
    if (!value.IsTensor()) return Error{Code::bad_output, "an output that is no tensor"};
    const auto info = value.GetTensorTypeAndShapeInfo();
    const auto dtype = dtype_of_element(info.GetElementType());
    if (!dtype) return dtype.error();
    const auto* data = static_cast<const std::byte*>(value.GetTensorRawData());
    const std::size_t bytes = info.GetElementCount() * bytes_of_element(*dtype);
    return Tensor{*dtype, info.GetShape(), Bytes(data, data + bytes)};
  }

  Ort::Env env_;  // counted: the process has one, as long as a model is open
  Ort::Session session_;
  std::vector<std::string> input_names_, output_names_;
  std::vector<const char*> inputs_, outputs_;  // into the two above
  About about_;
};

// Takes the interface out of the loaded library, the same for every model of a process, and gives
// the library's version.
Result<std::string> take_api(void* library) {
  using GetBase = const OrtApiBase* (*)();
  const auto get_base = reinterpret_cast<GetBase>(dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr) return Error{Code::no_backend, "its library is not ONNX Runtime"};
  const OrtApi* api = get_base()->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    return Error{Code::no_backend, std::string("ONNX Runtime ") + get_base()->GetVersionString() +
                                       " is here, this was built for 1." +
                                       std::to_string(ORT_API_VERSION) + " or newer"};
  }
  Ort::InitApi(api);
  return std::string(get_base()->GetVersionString());
}

Result<std::unique_ptr<Model>> open_onnxruntime(const Request& request) {
  const auto version = take_api(request.library);
  if (!version) return version.error();
  try {
    auto model = std::make_unique<OnnxModel>(request, *version);
    const auto checked = model->check_names();
    if (!checked) return checked.error();
    return std::unique_ptr<Model>(std::move(model));
  } catch (const Ort::Exception& error) {
    return failed(error.what());
  }
}

}  // namespace
}  // namespace edge_runner

extern "C" const edge_runner::Module edge_backend;
const edge_runner::Module edge_backend{edge_runner::module_version, &edge_runner::open_onnxruntime};
