// Runs an artifact of a bundle. This header is the manual.
//
//   std::vector<std::uint8_t> pixels(28 * 28);  // row by row
//   auto bundle = edge_runner::Bundle::open("digits.bundle");
//   auto runner = edge_runner::Runner::open(*bundle, {});
//   auto answer = runner->run({edge_runner::Tensor::of<std::uint8_t>({1, 28, 28, 1}, pixels)});
//
// Errors come back as `Result`; no exception and no exit crosses this boundary. A failed `run`
// leaves the runner as it was: the next one may succeed.
//
// Threads: `run` may be called from any number of threads on one Runner. `close` waits for runs
// that are under way; runs that begin after it give Code::closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "edge_runner/bundle.hpp"

namespace edge_runner {

template <typename T>
inline constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return DType::uint8;
  else if constexpr (std::is_same_v<T, std::int8_t>) return DType::int8;
  else if constexpr (std::is_same_v<T, std::int16_t>) return DType::int16;
  else if constexpr (std::is_same_v<T, std::int32_t>) return DType::int32;
  else if constexpr (std::is_same_v<T, std::int64_t>) return DType::int64;
  else if constexpr (std::is_same_v<T, float>) return DType::float32;
  else if constexpr (std::is_same_v<T, double>) return DType::float64;
  else static_assert(sizeof(T) == 0, "no element type of a bundle");
}();

// Numbers in C order, with their dtype and shape. Owns its bytes.
struct Tensor {
  DType dtype = DType::float32;
  Shape shape;
  Bytes data;  // product of shape × size_of(dtype)

  template <typename T>
  static Tensor of(Shape shape, std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    return {dtype_of<T>, std::move(shape), Bytes(bytes.begin(), bytes.end())};
  }

  // The numbers, where T is the dtype's; empty otherwise.
  template <typename T>
  [[nodiscard]] std::span<const T> values() const noexcept {
    if (dtype != dtype_of<T>) return {};
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

enum class Backend : std::uint8_t { automatic, onnxruntime, libtorch, null };

[[nodiscard]] std::string_view to_string(Backend backend) noexcept;

struct Options {
  std::string artifact;                  // an id; empty: what `choose` says
  Backend backend = Backend::automatic;  // the one that reads the artifact's format
  int threads = 1;                       // of one run; 0: all cores
  bool spinning = false;                 // idle threads of ONNX Runtime burn their core meanwhile:
                                         // faster where nothing else runs, slower where it does
  bool allow_failed = false;             // take an artifact whose verdict is not pass
};

// What a backend says of itself once it has loaded a model.
struct About {
  Backend backend = Backend::automatic;
  std::string version;  // of its library
  int threads = 0;
  bool spinning = false;
  std::string engine;  // LibTorch's int8 kernels: "x86", "onednn", "qnnpack"; empty elsewhere
};

class Runner {
 public:
  // Reads, checks and loads one artifact. The bundle may go afterwards; the runner shares it.
  // Codes: the refusals, unsafe_model, cannot_read, no_such_artifact, no_fitting_artifact,
  // no_backend, backend_failed, bad_argument, out_of_memory.
  static Result<Runner> open(const Bundle& bundle, const Options& options) noexcept;

  // Answers for a batch: inputs and outputs in the order of the signature, the samples of a batch
  // along their `batch_axis`.
  // Inputs are only read, outputs belong to the caller.
  // Codes: bad_input, backend_failed, bad_output, not_finite, closed, out_of_memory.
  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) const noexcept;

  // The same of inputs in braces: run({image, mask}).
  [[nodiscard]] Result<std::vector<Tensor>> run(
      std::initializer_list<Tensor> inputs) const noexcept {
    return run(std::span<const Tensor>(inputs.begin(), inputs.size()));
  }

  // These three, and `bundle`, are not to be asked of a Runner that was moved from.
  [[nodiscard]] const Artifact& artifact() const noexcept;
  [[nodiscard]] const About& about() const noexcept;

  // Sentences for a person: the artifact is for another CPU, or failed its verdict.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept;

  [[nodiscard]] const Bundle& bundle() const noexcept;

  // Gives memory and threads back. The destructor does the same.
  void close() noexcept;

  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;
  ~Runner();

 private:
  struct State;
  explicit Runner(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

// The id of the artifact that `Runner::open` takes: `options.artifact`, or else the first that
// passed, is for this kind of CPU and has a backend here; bundles list the fastest first. Codes:
// no_such_artifact, no_fitting_artifact, no_backend, bad_argument, out_of_memory.
[[nodiscard]] Result<std::string> choose(const Bundle& bundle, const Options& options) noexcept;

// The backends that this build has and whose library this machine has; loads none of them.
[[nodiscard]] std::vector<Backend> available_backends() noexcept;

// Loads a backend's library now rather than when it is first used, which takes a second for
// LibTorch. Codes: no_backend, bad_argument, out_of_memory.
[[nodiscard]] Result<Done> load_backend(Backend backend) noexcept;

}  // namespace edge_runner
