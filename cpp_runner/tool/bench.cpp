#include <algorithm>
#include <chrono>
#include <iostream>
#include <numeric>

#include "tool/commands.hpp"
#include "tool/golden.hpp"
#include "tool/memory.hpp"
#include "tool/numbers.hpp"
#include "tool/percentiles.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

using Clock = std::chrono::steady_clock;
using Batch = std::vector<Tensor>;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Drawn {
  const std::vector<Batch>& batches;
  std::uint64_t seed;

  const Batch& operator[](std::size_t run) const {
    return batches[draw(seed, run, batches.size())];
  }
};

// Milliseconds of every run in order: at least `runs` of them and `seconds` of their sum. Nothing
// is dropped or smoothed.
Result<std::vector<double>> measure(const Runner& runner, const Drawn& batches, std::size_t runs,
                                    double seconds) {
  std::vector<double> latencies;
  double total = 0;
  while (latencies.size() < runs || total < seconds * 1e3) {
    const Batch& batch = batches[latencies.size()];
    const auto start = Clock::now();
    const auto answers = runner.run(batch);
    latencies.push_back(ms_since(start));
    if (!answers) return answers.error();
    total += latencies.back();
  }
  return latencies;
}

bool same_shapes(const Batch& a, const Batch& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return x.shape == y.shape; });
}

// The golden samples of the first one's shapes, so that all runs do the same work.
Result<std::vector<Batch>> samples_of(const Bundle& bundle) {
  std::vector<Batch> samples;
  for (const GoldenSample& golden : bundle.manifest().golden) {
    auto inputs = golden_inputs(bundle, golden);
    if (!inputs) return inputs.error();
    if (samples.empty() || same_shapes(samples.front(), *inputs)) {
      samples.push_back(*std::move(inputs));
    }
  }
  if (samples.empty()) {
    return Error{Code::bad_argument, "the bundle has no golden samples to measure with"};
  }
  return samples;
}

// Those that can stand in one batch with the first.
std::vector<Batch> alike(const std::vector<Port>& ports, const std::vector<Batch>& samples) {
  std::vector<Batch> found;
  for (const Batch& sample : samples) {
    bool fits = true;
    for (std::size_t i = 0; i < ports.size(); ++i) {
      fits = fits && stackable(samples.front()[i], sample[i], ports[i].batch_axis);
    }
    if (fits) found.push_back(sample);
  }
  return found;
}

// As many batches as there are samples; batch k begins with sample k.
std::vector<Batch> batches_of(const std::vector<Port>& ports, const std::vector<Batch>& all,
                              std::size_t size) {
  if (size == 1) return all;
  const std::vector<Batch> samples = alike(ports, all);
  std::vector<Batch> batches;
  for (std::size_t first = 0; first < samples.size(); ++first) {
    Batch& batch = batches.emplace_back();
    for (std::size_t input = 0; input < ports.size(); ++input) {
      std::vector<const Tensor*> parts;
      for (std::size_t i = 0; i < size; ++i) {
        parts.push_back(&samples[(first + i) % samples.size()][input]);
      }
      batch.push_back(stacked(parts, ports[input].batch_axis));
    }
  }
  return batches;
}

Backend backend_for(const Bundle& bundle, const Options& options) {
  if (options.backend != Backend::automatic) return options.backend;
  const auto id = choose(bundle, options);
  const Artifact* artifact = id ? bundle.artifact(*id) : nullptr;
  if (artifact == nullptr) return Backend::null;  // opening says what is wrong
  return artifact->format == Format::onnx ? Backend::onnxruntime : Backend::libtorch;
}

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

// Fills `json` in the order in which things happen.
Result<Done> measure_all(const Bundle& bundle, double opened_ms, const Common& common,
                         const BenchOptions& asked, Json& json) {
  auto start = Clock::now();
  const auto loaded = load_backend(backend_for(bundle, common.options));
  if (!loaded) return loaded.error();
  const double library_ms = ms_since(start);
  const auto samples = samples_of(bundle);
  if (!samples) return samples.error();
  const auto stacks = batches_of(bundle.manifest().inputs, *samples, asked.batch);
  const Drawn batches{stacks, asked.seed};
  reset_peak();
  const std::uint64_t baseline = peak_bytes();

  start = Clock::now();
  const auto runner = Runner::open(bundle, common.options);
  if (!runner) return runner.error();
  const double load_ms = opened_ms + ms_since(start);
  for (const std::string& warning : runner->warnings()) warn(warning);

  const auto first = measure(*runner, batches, 1, 0);
  if (!first) return first.error();
  const auto warm = measure(*runner, batches, asked.warm_runs, asked.warm_seconds);
  if (!warm) return warm.error();
  const auto latencies = measure(*runner, batches, asked.runs, asked.seconds);
  if (!latencies) return latencies.error();
  const double total = std::accumulate(latencies->begin(), latencies->end(), 0.0);

  json = identity(*runner);
  json["threads"] = runner->about().threads;
  json["batch"] = asked.batch;
  json["library_ms"] = library_ms;
  json["load_ms"] = load_ms;
  json["first_ms"] = first->front();
  json["warmup_runs"] = warm->size();
  json["runs"] = latencies->size();
  json["seed"] = asked.seed;
  json["samples"] = samples->size();
  json["p50_ms"] = nearest_rank(*latencies, 50);
  json["p90_ms"] = or_null(sure(*latencies, 90));
  json["p90_nearest_ms"] = nearest_rank(*latencies, 90);
  json["p99_ms"] = or_null(sure(*latencies, 99));
  json["throughput"] = {{std::to_string(asked.batch),
                         static_cast<double>(latencies->size() * asked.batch) / (total / 1e3)}};
  json["baseline_bytes"] = baseline;
  json["peak_bytes"] = peak_bytes();
  json["latencies_ms"] = *latencies;
  return Done{};
}

void print_text(const Json& json) {
  const auto ms = [&](const char* key) {
    const Json& value = json.at(key);
    return value.is_null() ? "– (too few runs)" : number(value.get<double>()) + " ms";
  };
  std::cout << json["artifact"].get<std::string>() << " in " << json["runtime"].get<std::string>()
            << ' ' << json["runner"]["version"].get<std::string>() << ", " << json["threads"]
            << (json["threads"] == 1 ? " thread" : " threads") << ", batch " << json["batch"]
            << '\n'
            << "  p90 " << ms("p90_ms") << "   p50 " << ms("p50_ms") << "   p99 " << ms("p99_ms")
            << "   of " << json["runs"] << " runs\n"
            << "  load " << ms("load_ms") << "   first run " << ms("first_ms") << "   library "
            << ms("library_ms") << '\n'
            << "  peak memory " << bytes(json["peak_bytes"].get<std::uint64_t>()) << ", "
            << bytes(json["baseline_bytes"].get<std::uint64_t>()) << " of it before loading\n"
            << "  sha256 " << json["sha256"].get<std::string>() << "\n  bundle "
            << json["digest"].get<std::string>() << '\n';
}

}  // namespace

int bench(const Common& common, const BenchOptions& asked) {
  const auto start = Clock::now();
  const auto bundle = Bundle::open(common.bundle);
  if (!bundle) return fail(bundle.error(), common.json);
  Json json;
  const auto measured = measure_all(*bundle, ms_since(start), common, asked, json);
  if (!measured) return fail(measured.error(), common.json);
  if (common.json) print(json);
  else print_text(json);
  return Exit::done;
}

}  // namespace edge_runner::tool
