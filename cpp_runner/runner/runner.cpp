#include "edge_runner/runner.hpp"

#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>

#include "bundle/failure.hpp"
#include "runner/backend.hpp"
#include "runner/checks.hpp"
#include "runner/choice.hpp"
#include "runner/cpu.hpp"
#include "runner/modules.hpp"

namespace edge_runner {
namespace {

// Calls `work`, which gives a Result itself. What a library throws its backend has turned into an
// Error: what comes here is a mistake.
template <typename Work>
auto flattened(Work work) noexcept -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, "out of memory"};
  } catch (const std::exception& error) {
    return mistake(error.what());
  } catch (...) {
    return mistake("something that is no exception was thrown");
  }
}

}  // namespace

struct Runner::State {
  State(Bundle b, Choice c, About a, std::unique_ptr<Model> m)
      : bundle(std::move(b)),
        artifact(*c.artifact),
        warnings(std::move(c.warnings)),
        about(std::move(a)),
        model(std::move(m)) {}

  const Bundle bundle;
  const Artifact& artifact;  // of the bundle
  const std::vector<std::string> warnings;
  const About about;

  std::atomic<bool> closing = false;  // so that a stream of runs cannot keep `close` waiting
  std::shared_mutex mutex;            // shared by runs, alone for `close`
  std::unique_ptr<Model> model;       // null once closed

  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) {
    if (closing.load(std::memory_order_acquire)) return closed();
    const std::shared_lock lock(mutex);
    if (model == nullptr) return closed();
    const Manifest& manifest = bundle.manifest();
    const auto batch = check_inputs(manifest.inputs, inputs);
    if (!batch) return batch.error();
    auto outputs = model->run(inputs);
    if (!outputs) return outputs;
    const auto checked = check_outputs(manifest.outputs, *outputs, *batch);
    if (!checked) return checked.error();
    return outputs;
  }

  static Error closed() { return {Code::closed, "the runner is closed"}; }
};

Result<Runner> Runner::open(const Bundle& bundle, const Options& options) noexcept {
  return flattened([&]() -> Result<Runner> {
    auto choice = choose_artifact(bundle, options);
    if (!choice) return choice.error();
    const auto backend = load(choice->backend);
    if (!backend) return backend.error();
    const Artifact& artifact = *choice->artifact;
    const auto file = bundle.read_model(artifact);
    if (!file) return file.error();
    const int threads = options.threads == 0 ? cores() : options.threads;
    auto model = backend->open(
        {*file, bundle.manifest(), artifact, threads, options.spinning, backend->library});
    if (!model) return Error{model.error().code, artifact.id + ": " + model.error().message};
    About about = (*model)->about();
    return Runner(
        std::make_shared<State>(bundle, *std::move(choice), std::move(about), *std::move(model)));
  });
}

Result<std::vector<Tensor>> Runner::run(std::span<const Tensor> inputs) const noexcept {
  if (state_ == nullptr) return State::closed();
  return flattened([&] { return state_->run(inputs); });
}

void Runner::close() noexcept {
  if (state_ == nullptr) return;
  state_->closing.store(true, std::memory_order_release);
  const std::unique_lock lock(state_->mutex);
  state_->model.reset();
}

const Bundle& Runner::bundle() const noexcept { return state_->bundle; }
const Artifact& Runner::artifact() const noexcept { return state_->artifact; }
const About& Runner::about() const noexcept { return state_->about; }
const std::vector<std::string>& Runner::warnings() const noexcept { return state_->warnings; }

Runner::Runner(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Runner::Runner(Runner&&) noexcept = default;

Runner& Runner::operator=(Runner&& other) noexcept {
  if (this != &other) {
    close();
    state_ = std::move(other.state_);
  }
  return *this;
}

Runner::~Runner() { close(); }

Result<std::string> choose(const Bundle& bundle, const Options& options) noexcept {
  return flattened([&]() -> Result<std::string> {
    const auto choice = choose_artifact(bundle, options);
    if (!choice) return choice.error();
    return choice->artifact->id;
  });
}

}  // namespace edge_runner
