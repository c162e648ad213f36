#include "tool/golden.hpp"

#include <algorithm>
#include <cmath>

#include "runner/describe.hpp"
#include "tool/numbers.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

bool discrete(DType dtype) {
  return dtype != DType::float16 && dtype != DType::float32 && dtype != DType::float64;
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

std::optional<double> relative(double max_abs, double scale) {
  if (scale != 0) return max_abs / scale;
  return max_abs != 0 ? std::nullopt : std::optional<double>(0);
}

// 1 if both are zero, 0 if one of them is.
double cosine(double ref_x, double ref_ref, double x_x) {
  if (ref_ref == 0 || x_x == 0) return ref_ref == x_x ? 1 : 0;
  return std::clamp(ref_x / std::sqrt(ref_ref) / std::sqrt(x_x), -1.0, 1.0);
}

std::optional<double> sqnr_db(double signal, double noise) {
  if (signal == 0 || noise == 0) return std::nullopt;
  return 10 * (std::log10(signal) - std::log10(noise));
}

bool above(const std::optional<double>& value, const std::optional<double>& limit) {
  return value && limit && *value > *limit;
}

}  // namespace

OutputCheck::OutputCheck(const Port& output, const Tolerance& asked)
    : output_(output), asked_(asked) {}

void OutputCheck::add(const Tensor& expected, const Tensor& answer) {
  const std::string at = output_.name + ", sample " + std::to_string(samples_++) + ": ";
  if (!wrong_.empty()) return;
  if (expected.dtype != answer.dtype || expected.shape != answer.shape) {
    wrong_ = at + describe(answer.dtype, answer.shape) + " instead of " +
             describe(expected.dtype, expected.shape);
    return;
  }
  const std::vector<double> ref = numbers(expected), x = numbers(answer);
  if (!all_finite(ref) || !all_finite(x)) {
    wrong_ = at + "NaN or infinity";
    return;
  }
  for (std::size_t i = 0; i < ref.size(); ++i) {
    const double difference = ref[i] - x[i];
    max_abs_ = std::max(max_abs_, std::abs(difference));
    scale_ = std::max(scale_, std::abs(ref[i]));
    ref_ref_ += ref[i] * ref[i];
    x_x_ += x[i] * x[i];
    ref_x_ += ref[i] * x[i];
    noise_ += difference * difference;
  }
  decide(expected, answer, ref, x);
}

void OutputCheck::decide(const Tensor& expected, const Tensor& answer,
                         const std::vector<double>& ref, const std::vector<double>& x) {
  if (discrete(output_.dtype)) {
    const std::size_t size = size_of(output_.dtype);
    for (std::size_t at = 0; at < expected.data.size(); at += size) {
      const auto* left = expected.data.data() + at;
      count(!std::equal(left, left + size, answer.data.data() + at), HUGE_VAL);
    }
  } else if (output_.threshold) {
    for (std::size_t i = 0; i < ref.size(); ++i) {
      const double line = *output_.threshold;
      count((ref[i] > line) != (x[i] > line), std::abs(ref[i] - line));
    }
  } else if (output_.kind == "classification" && !ref.empty()) {
    const auto classes = static_cast<std::ptrdiff_t>(expected.shape.back());
    for (auto r = ref.begin(), a = x.begin(); r != ref.end(); r += classes, a += classes) {
      const auto chosen = std::max_element(r, r + classes) - r;
      const auto other = std::max_element(a, a + classes) - a;
      count(chosen != other, r[chosen] - r[other]);
    }
  }
}

void OutputCheck::count(bool differs, double margin) {
  ++decisions_;
  if (differs && margin > asked_.tie.value_or(0)) ++different_;
}

Figures OutputCheck::result() const {
  Figures figures;
  if (!wrong_.empty()) {
    figures.reasons = {wrong_};
    return figures;
  }
  figures.max_abs = max_abs_;
  figures.max_rel = relative(max_abs_, scale_);
  figures.cosine = cosine(ref_x_, ref_ref_, x_x_);
  figures.sqnr_db = sqnr_db(ref_ref_, noise_);
  if (decisions_ != 0) {
    figures.top1 = static_cast<double>(decisions_ - different_) / static_cast<double>(decisions_);
  }
  figures.reasons = reasons(figures);
  return figures;
}

std::vector<std::string> OutputCheck::reasons(const Figures& figures) const {
  std::vector<std::string> found;
  const std::string name = output_.name + ": ";
  if (above(figures.max_abs, asked_.max_abs)) {
    found.push_back(name + "largest error " + number(*figures.max_abs) + ", " +
                    number(*asked_.max_abs) + " allowed");
  }
  if (above(figures.max_rel, asked_.max_rel)) {
    found.push_back(name + "largest relative error " + number(*figures.max_rel) + ", " +
                    number(*asked_.max_rel) + " allowed");
  }
  if (above(asked_.min_sqnr_db, figures.sqnr_db)) {
    found.push_back(name + "SQNR " + number(*figures.sqnr_db) + " dB, at least " +
                    number(*asked_.min_sqnr_db) + " asked");
  }
  // A share below 1 says nothing of a few samples: one may always differ.
  if (above(asked_.min_top1, figures.top1) && (different_ > 1 || *asked_.min_top1 == 1)) {
    found.push_back(name + std::to_string(different_) + " of " + std::to_string(decisions_) +
                    " decisions are not the reference's");
  }
  return found;
}

Result<Tensor> read_golden(const Bundle& bundle, const GoldenTensor& golden) {
  auto data = bundle.read(golden.file);
  if (!data) return data.error();
  return Tensor{golden.dtype, golden.shape, *std::move(data)};
}

Result<std::vector<Tensor>> golden_inputs(const Bundle& bundle, const GoldenSample& sample) {
  std::vector<Tensor> inputs;
  for (const GoldenTensor& golden : sample.inputs) {
    auto tensor = read_golden(bundle, golden);
    if (!tensor) return tensor.error();
    inputs.push_back(*std::move(tensor));
  }
  return inputs;
}

Result<Judged> judge(const Runner& runner) {
  const Bundle& bundle = runner.bundle();
  const Manifest& manifest = bundle.manifest();
  const auto& tolerances = runner.artifact().tolerances;
  if (manifest.golden.empty()) return Judged{Verdict::inconclusive, {"no golden samples"}, {}};
  if (tolerances.empty()) return Judged{Verdict::inconclusive, {"no tolerances"}, {}};
  std::vector<OutputCheck> checks;
  for (std::size_t i = 0; i < manifest.outputs.size(); ++i) {
    checks.emplace_back(manifest.outputs[i], tolerances[i]);
  }
  for (std::size_t number = 0; number < manifest.golden.size(); ++number) {
    const GoldenSample& sample = manifest.golden[number];
    const auto inputs = golden_inputs(bundle, sample);
    if (!inputs) return inputs.error();
    const auto answers = runner.run(*inputs);
    if (!answers) {
      const std::string at = "sample " + std::to_string(number) + ": ";
      return Judged{Verdict::fail, {at + answers.error().message}, {}};
    }
    for (std::size_t i = 0; i < checks.size(); ++i) {
      const auto expected = read_golden(bundle, sample.outputs[i]);
      if (!expected) return expected.error();
      checks[i].add(*expected, (*answers)[i]);
    }
  }
  Judged judged{Verdict::pass, {}, {}};
  for (const OutputCheck& check : checks) {
    judged.outputs.push_back(check.result());
    const auto& reasons = judged.outputs.back().reasons;
    judged.reasons.insert(judged.reasons.end(), reasons.begin(), reasons.end());
  }
  if (!judged.reasons.empty()) judged.verdict = Verdict::fail;
  return judged;
}

}  // namespace edge_runner::tool
