// LibTorch on the CPU.
#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "runner/backend.hpp"
#include "runner/libtorch_guards.hpp"
#include "runner/message.hpp"

namespace edge_runner {
namespace {

constexpr std::array element_types = {
    std::pair{DType::boolean, at::kBool},   std::pair{DType::uint8, at::kByte},
    std::pair{DType::int8, at::kChar},      std::pair{DType::int16, at::kShort},
    std::pair{DType::int32, at::kInt},      std::pair{DType::int64, at::kLong},
    std::pair{DType::float16, at::kHalf},   std::pair{DType::float32, at::kFloat},
    std::pair{DType::float64, at::kDouble},
};

at::ScalarType element_type(DType dtype) {
  for (const auto& [ours, theirs] : element_types) {
    if (ours == dtype) return theirs;
  }
  return at::ScalarType::Undefined;
}

std::optional<DType> dtype_of(const at::Tensor& tensor) {
  for (const auto& [ours, theirs] : element_types) {
    if (theirs == tensor.scalar_type()) return ours;
  }
  return std::nullopt;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Why an output cannot be handed over; empty if it can. Only a dense tensor on the CPU has its
// numbers in memory, one after the other.
std::string misfit_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return "an output is an undefined tensor";
  if (!tensor.device().is_cpu()) {
    return "an output is on the device " + tensor.device().str() + "; outputs are on the CPU";
  }
  if (tensor.is_nested()) return "an output is a nested tensor; outputs are dense";
  if (tensor.layout() != at::kStrided) {
    std::ostringstream layout;
    layout << tensor.layout();
    return "an output has the layout " + lower(layout.str()) + "; outputs are dense";
  }
  if (!dtype_of(tensor)) {
    return "an output is " + lower(c10::toString(tensor.scalar_type())) +
           ", an element type that bundles do not have";
  }
  return "";
}

// Reads the buffer that was hashed.
class Buffer final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Buffer(std::span<const std::byte> bytes) : bytes_(bytes) {}
  size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t pos, void* buf, size_t n, const char* /*what*/) const override {
    if (pos >= bytes_.size()) return 0;
    const size_t count = std::min(n, bytes_.size() - static_cast<size_t>(pos));
    std::memcpy(buf, bytes_.data() + pos, count);
    return count;
  }

 private:
  std::span<const std::byte> bytes_;
};

// The int8 kernels are a setting of the process, which loading and running look at. A model of int8
// holds it; one that wants another is refused meanwhile.
class EngineHold {
 public:
  // Null if another engine is held.
  static std::unique_ptr<EngineHold> take(at::QEngine wanted) {
    const std::lock_guard lock(shared().mutex);
    if (shared().holders > 0 && at::globalContext().qEngine() != wanted) return nullptr;
    at::globalContext().setQEngine(wanted);
    ++shared().holders;
    return std::unique_ptr<EngineHold>(new EngineHold);
  }

  EngineHold(const EngineHold&) = delete;
  EngineHold& operator=(const EngineHold&) = delete;
  ~EngineHold() {
    const std::lock_guard lock(shared().mutex);
    --shared().holders;
  }

 private:
  struct Shared {
    std::mutex mutex;
    int holders = 0;
  };
  static Shared& shared() {
    static Shared one;
    return one;
  }
  EngineHold() = default;
};

[[maybe_unused]] bool supported(at::QEngine engine) {
  const auto& engines = at::globalContext().supportedQEngines();
  return std::find(engines.begin(), engines.end(), engine) != engines.end();
}

// The kernels of the CPU that the artifact was made for, where they work here; else this CPU's. On
// ARM, LibTorch says of x86's that it supports them, but not every layer can be packed for them.
at::QEngine engine_for([[maybe_unused]] const Artifact& artifact) {
#if defined(__x86_64__)
  const bool arm = artifact.made_for == "arm64" && supported(at::QEngine::QNNPACK);
  return arm ? at::QEngine::QNNPACK : at::QEngine::X86;
#else
  return at::QEngine::QNNPACK;
#endif
}

std::string name_of(at::QEngine engine) {
  switch (engine) {
    case at::QEngine::X86:
      return "x86";
    case at::QEngine::QNNPACK:
      return "qnnpack";
    case at::QEngine::ONEDNN:
      return "onednn";
    case at::QEngine::FBGEMM:
      return "fbgemm";
    default:
      return "none";
  }
}

// Whether a function, or one that it calls, writes into tensors that it was given or made: then it
// gets copies of the inputs. The graphs are validated at as they are: without inlining a copy of
// them MobileNetV3 opens in 94 ms instead of 116.
class Writing {
 public:
  bool in(const torch::jit::Function& function) {
    if (!seen_.insert(&function).second) return false;
    auto* known = torch::jit::tryToGraphFunction(const_cast<torch::jit::Function&>(function));
    return known == nullptr ||
           in(known->graph()->block());  // what cannot be validated at may write
  }

 private:
  bool in(torch::jit::Block* block) {
    for (torch::jit::Node* node : block->nodes()) {
      if (by(*node)) return true;
      for (torch::jit::Block* inner : node->blocks()) {
        if (in(inner)) return true;
      }
    }
    return false;
  }

  bool by(torch::jit::Node& node) {
    const auto kind = node.kind();
    if (kind == torch::jit::prim::CallMethod) {
      const auto* owner = node.input(0)->type()->castRaw<c10::ClassType>();
      const auto* method = owner ? owner->findMethod(node.s(torch::jit::attr::name)) : nullptr;
      return method == nullptr || in(*method);
    }
    if (kind == torch::jit::prim::CallFunction) {
      const auto* type = node.input(0)->type()->castRaw<c10::FunctionType>();
      return type == nullptr || in(*type->function());
    }
    const auto* schema = node.maybeSchema();
    return schema != nullptr &&
           std::any_of(schema->arguments().begin(), schema->arguments().end(),
                       [](const c10::Argument& argument) {
                         return argument.alias_info() && argument.alias_info()->isWrite() &&
                                argument.type()->isSubtypeOf(*c10::TensorType::get());
                       });
  }

  std::set<const torch::jit::Function*> seen_;
};

// LibTorch writes advice for those who make models to the standard error; who runs one wants none.
class Silence final : public c10::WarningHandler {
 public:
  void process(const c10::Warning& /*warning*/) override {}
};

Silence& silence() {
  static Silence one;
  return one;
}

// `c10::Error` without the addresses of its stack.
Error failed_with(const std::exception& error) {
  const auto* known = dynamic_cast<const c10::Error*>(&error);
  return failed(known != nullptr ? known->what_without_backtrace() : error.what());
}

class TorchModel final : public Model {
 public:
  TorchModel(torch::jit::Module module, int threads, std::unique_ptr<EngineHold> engine,
             std::string engine_name)
      : engine_(std::move(engine)),
        module_(std::move(module)),
        forward_(module_.get_method("forward")),
        threads_(threads),
        copies_inputs_(Writing().in(forward_.function())),
        engine_name_(std::move(engine_name)) {}

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) override {
    try {
      // The number is kept by thread.
      if (at::get_num_threads() != threads_) at::set_num_threads(threads_);
      const c10::InferenceMode no_gradients;
      const c10::WarningUtils::WarningHandlerGuard quiet(&silence());
      std::vector<c10::IValue> given;
      given.reserve(inputs.size() + 1);
      for (const Tensor& input : inputs) given.emplace_back(tensor_of(input));
      return answers(forward_(std::move(given)));
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      return failed_with(error);
    }
  }

  [[nodiscard]] About about() const override {
    return {Backend::libtorch, TORCH_VERSION, threads_, false, engine_name_};
  }

  [[nodiscard]] std::size_t inputs() const { return forward_.num_inputs() - 1; }  // less `self`

 private:
  [[nodiscard]] at::Tensor tensor_of(const Tensor& input) const {
    void* data = const_cast<std::byte*>(input.data.data());
    const at::Tensor view = at::from_blob(data, input.shape, element_type(input.dtype));
    return copies_inputs_ ? view.clone() : view;
  }

  static Result<std::vector<Tensor>> answers(const c10::IValue& answer) {
    std::vector<at::Tensor> tensors;
    if (answer.isTensor()) {
      tensors.push_back(answer.toTensor());
    } else if (answer.isTensorList()) {
      tensors = answer.toTensorVector();
    } else if (answer.isTuple()) {
      for (const auto& element : answer.toTupleRef().elements()) {
        if (!element.isTensor()) return Error{Code::bad_output, "an output that is no tensor"};
        tensors.push_back(element.toTensor());
      }
    } else {
      return Error{Code::bad_output, "forward gave neither a tensor nor a tuple of tensors"};
    }
    return copied(tensors);
  }

  static Result<std::vector<Tensor>> copied(const std::vector<at::Tensor>& tensors) {
    std::vector<Tensor> copies;
    copies.reserve(tensors.size());
    for (const at::Tensor& tensor : tensors) {
      const std::string misfit = misfit_of(tensor);
      if (!misfit.empty()) return Error{Code::bad_output, misfit};
      // x.conj().imag is x's memory with a bit that says to turn the sign.
      const at::Tensor whole = tensor.resolve_conj().resolve_neg().contiguous();
      const auto* data = static_cast<const std::byte*>(whole.const_data_ptr());
      if (data == nullptr && whole.nbytes() > 0) {
        return Error{Code::bad_output, "an output without memory"};
      }
      copies.push_back(
          {*dtype_of(tensor), whole.sizes().vec(), Bytes(data, data + whole.nbytes())});
    }
    return copies;
  }

  std::unique_ptr<EngineHold> engine_;  // null for a model without int8; goes last
  torch::jit::Module module_;
  torch::jit::Method forward_;
  int threads_;
  bool copies_inputs_;
  std::string engine_name_;
};

Result<std::unique_ptr<Model>> open_checked(const Request& request) {
  std::unique_ptr<EngineHold> hold;
  std::string engine_name;
  if (request.artifact.precision == "int8") {
    const at::QEngine engine = engine_for(request.artifact);
    hold = EngineHold::take(engine);
    if (!hold) {
      return Error{Code::backend_failed,
                   "it wants LibTorch's int8 engine " + name_of(engine) + ", and a model on " +
                       name_of(at::globalContext().qEngine()) + " is open; close that first"};
    }
    engine_name = name_of(engine);
  }
  at::set_num_threads(request.threads);
  const c10::WarningUtils::WarningHandlerGuard quiet(&silence());
  auto module = torch::jit::load(std::make_shared<Buffer>(request.file), at::Device(at::kCPU),
                                 /*load_debug_files=*/false);
  module.eval();
  put_guards(module);
  if (!module.find_method("forward")) return failed("it has no method forward");
  auto model = std::make_unique<TorchModel>(std::move(module), request.threads, std::move(hold),
                                            std::move(engine_name));
  if (model->inputs() != request.manifest.inputs.size()) {
    return failed("forward takes " + std::to_string(model->inputs()) +
                  " inputs, the manifest has " + std::to_string(request.manifest.inputs.size()));
  }
  return std::unique_ptr<Model>(std::move(model));
}

Result<std::unique_ptr<Model>> open_libtorch(const Request& request) {
  try {
    return open_checked(request);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return failed_with(error);
  }
}

}  // namespace
}  // namespace edge_runner

extern "C" const edge_runner::Module edge_backend;
const edge_runner::Module edge_backend{edge_runner::module_version, &edge_runner::open_libtorch};
