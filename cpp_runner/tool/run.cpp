#include <algorithm>
#include <filesystem>
#include <iostream>
#include <numeric>

#include "tool/commands.hpp"
#include "tool/files.hpp"
#include "tool/npy.hpp"
#include "tool/numbers.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

constexpr std::size_t most_values = 1000;  // of an output, that JSON shows; --out has all

struct Sample {
  std::string name;            // its files
  std::vector<Tensor> inputs;  // one or more rows each
};

struct Labelled {
  const Port& port;
  std::vector<std::string> labels;
};

std::string label_of(const Labelled& output, std::size_t index) {
  return index < output.labels.size() ? output.labels[index] : "class " + std::to_string(index);
}

// The places of the `top` largest, the first of equal ones first.
std::vector<std::size_t> largest(const std::vector<double>& scores, std::size_t top) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(top, order.size()));
  return order;
}

bool is_one_decision(const Labelled& output, const Tensor& row) {
  return output.port.kind == "classification" && row.shape.size() == 2;
}

Json output_json(const Labelled& output, const Tensor& row, std::size_t top) {
  const std::vector<double> values = numbers(row);
  Json json = {{"name", output.port.name},
               {"dtype", to_string(row.dtype)},
               {"shape", row.shape},
               {"values", values.size() <= most_values ? Json(values) : Json(nullptr)}};
  if (!is_one_decision(output, row)) return json;
  if (output.port.threshold) {
    json["yes"] = values[0] > *output.port.threshold;
    return json;
  }
  json["top"] = Json::array();
  for (const std::size_t i : largest(values, top)) {
    json["top"].push_back({{"class", i}, {"label", label_of(output, i)}, {"score", values[i]}});
  }
  return json;
}

std::string output_text(const Labelled& output, const Tensor& row, std::size_t top) {
  const std::vector<double> values = numbers(row);
  std::string text;
  if (is_one_decision(output, row) && output.port.threshold) {
    return (values[0] > *output.port.threshold ? "yes " : "no ") + number(values[0], 4);
  }
  if (is_one_decision(output, row)) {
    for (const std::size_t i : largest(values, top)) {
      text += (text.empty() ? "" : ", ") + label_of(output, i) + " " + number(values[i], 4);
    }
    return text;
  }
  text = output.port.name + " =";
  for (std::size_t i = 0; i < std::min<std::size_t>(values.size(), 8); ++i) {
    text += " " + number(values[i], 6);
  }
  return text + (values.size() > 8 ? " ... (" + std::to_string(values.size()) + " numbers)" : "");
}

// What follows the samples through one call of the command.
class Session {
 public:
  Session(const Runner& runner, const RunOptions& asked, bool json)
      : runner_(runner), asked_(asked), json_(json) {}

  Result<Done> start() {
    for (const Port& port : runner_.bundle().manifest().outputs) {
      auto labels = runner_.bundle().labels(port);
      if (!labels) return labels.error();
      outputs_.push_back({port, *std::move(labels)});
    }
    if (asked_.out.empty()) return Done{};
    std::error_code error;
    std::filesystem::create_directories(asked_.out, error);
    if (error) return Error{Code::cannot_read, asked_.out + ": " + error.message()};
    return Done{};
  }

  // Runs what is waiting first where this one does not go with it.
  Result<Done> add(Sample sample) {
    if (!waiting_.empty() && (!alike(sample) || count_ + rows_of(sample) > asked_.batch)) {
      const auto flushed = flush();
      if (!flushed) return flushed;
    }
    count_ += rows_of(sample);
    waiting_.push_back(std::move(sample));
    return Done{};
  }

  Result<Done> flush() {
    if (waiting_.empty()) return Done{};
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < ports().size(); ++i) {
      std::vector<const Tensor*> parts;
      for (const Sample& sample : waiting_) parts.push_back(&sample.inputs[i]);
      inputs.push_back(stacked(parts, ports()[i].batch_axis));
    }
    const auto answers = runner_.run(inputs);
    if (!answers) {
      return Error{answers.error().code, waiting_.front().name + ": " + answers.error().message};
    }
    std::size_t first = 0;
    for (const Sample& sample : waiting_) {
      const auto shown = show(sample, *answers, first);
      if (!shown) return shown;
      first += rows_of(sample);
    }
    waiting_.clear();
    count_ = 0;
    return Done{};
  }

  void finish() const {
    if (!json_) return;
    Json json = identity(runner_);
    json["samples"] = samples_;
    print(json);
  }

 private:
  [[nodiscard]] const std::vector<Port>& ports() const {
    return runner_.bundle().manifest().inputs;
  }

  [[nodiscard]] std::size_t rows_of(const Sample& sample) const {
    for (std::size_t i = 0; i < ports().size(); ++i) {
      if (ports()[i].batch_axis) return samples_of(sample.inputs[i], ports()[i].batch_axis);
    }
    return 1;
  }

  // Whether it can stand in one batch with what is waiting.
  [[nodiscard]] bool alike(const Sample& sample) const {
    bool batched = false;
    for (std::size_t i = 0; i < ports().size(); ++i) {
      const auto axis = ports()[i].batch_axis;
      if (!stackable(waiting_.front().inputs[i], sample.inputs[i], axis)) return false;
      batched = batched || axis;
    }
    return batched;
  }

  Result<Done> show(const Sample& sample, const std::vector<Tensor>& answers, std::size_t first) {
    const std::size_t count = rows_of(sample);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name =
          count == 1 ? sample.name : sample.name + "[" + std::to_string(i) + "]";
      Json outputs = Json::array();
      std::string text;
      for (std::size_t o = 0; o < outputs_.size(); ++o) {
        const Tensor row = rows(answers[o], outputs_[o].port.batch_axis, first + i, 1);
        if (json_) outputs.push_back(output_json(outputs_[o], row, asked_.top));
        else text += "  " + output_text(outputs_[o], row, asked_.top);
      }
      if (json_) samples_.push_back({{"file", sample.name}, {"row", i}, {"outputs", outputs}});
      else std::cout << name << text << '\n';
    }
    return keep(sample, answers, first);
  }

  // NAME.OUTPUT.npy, the sample's rows.
  Result<Done> keep(const Sample& sample, const std::vector<Tensor>& answers, std::size_t first) {
    if (asked_.out.empty()) return Done{};
    for (std::size_t o = 0; o < outputs_.size(); ++o) {
      const std::string base = std::filesystem::path(sample.name).filename().string();
      const auto path =
          std::filesystem::path(asked_.out) / (base + "." + std::to_string(o) + ".npy");
      const Tensor own = rows(answers[o], outputs_[o].port.batch_axis, first, rows_of(sample));
      const auto written = write_file(path, to_npy(own));
      if (!written) return written;
    }
    return Done{};
  }

  const Runner& runner_;
  const RunOptions& asked_;
  bool json_;
  std::vector<Labelled> outputs_;
  std::vector<Sample> waiting_;
  std::size_t count_ = 0;  // rows of those
  Json samples_ = Json::array();
};

// One file for each input, in the order of the signature.
Result<Sample> read_sample(const Runner& runner, const RunOptions& asked, std::size_t first) {
  const auto& ports = runner.bundle().manifest().inputs;
  Sample sample{asked.files[first], {}};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    auto tensor = read_input(ports[i], asked.files[first + i], asked.shape);
    if (!tensor) return tensor.error();
    sample.inputs.push_back(*std::move(tensor));
  }
  return sample;
}

Result<Done> run_all(const Runner& runner, const RunOptions& asked, bool json) {
  const std::size_t inputs = runner.bundle().manifest().inputs.size();
  if (asked.files.size() % inputs != 0) {
    return Error{Code::bad_argument, "the model has " + std::to_string(inputs) +
                                         " inputs: give a file for each, sample by sample"};
  }
  Session session(runner, asked, json);
  auto going = session.start();
  for (std::size_t i = 0; going && i < asked.files.size(); i += inputs) {
    auto sample = read_sample(runner, asked, i);
    if (!sample) return sample.error();
    going = session.add(*std::move(sample));
  }
  if (going) going = session.flush();
  if (going) session.finish();
  return going;
}

}  // namespace

int run(const Common& common, const RunOptions& asked) {
  const auto bundle = Bundle::open(common.bundle);
  if (!bundle) return fail(bundle.error(), common.json);
  const auto runner = Runner::open(*bundle, common.options);
  if (!runner) return fail(runner.error(), common.json);
  for (const std::string& warning : runner->warnings()) warn(warning);
  const auto done = run_all(*runner, asked, common.json);
  return done ? int{Exit::done} : fail(done.error(), common.json);
}

}  // namespace edge_runner::tool
