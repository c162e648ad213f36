// What the golden samples say of a runtime: "Checking a runtime with the golden samples" in
// docs/bundle-format.md, whose words and steps these are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// Of one output over all golden samples; a figure without a value has no meaning. `top1` is the
// share of decisions that are the reference's, near ties among them.
struct Figures {
  std::optional<double> max_abs, max_rel, cosine, sqnr_db, top1;
  std::vector<std::string> reasons;  // why it fails; none: it passes
};

// Takes sample by sample, so that memory is that of one.
class OutputCheck {
 public:
  OutputCheck(const Port& output, const Tolerance& asked);

  void add(const Tensor& expected, const Tensor& answer);
  [[nodiscard]] Figures result() const;

 private:
  void decide(const Tensor& expected, const Tensor& answer, const std::vector<double>& ref,
              const std::vector<double>& x);
  void count(bool differs, double margin);
  [[nodiscard]] std::vector<std::string> reasons(const Figures& figures) const;

  const Port& output_;
  const Tolerance& asked_;
  std::size_t samples_ = 0;
  std::string wrong_;  // the first answer that cannot be compared
  double max_abs_ = 0, scale_ = 0;
  double ref_ref_ = 0, x_x_ = 0, ref_x_ = 0, noise_ = 0;
  std::size_t decisions_ = 0, different_ = 0;  // near ties are not different
};

// A golden tensor, hashed.
Result<Tensor> read_golden(const Bundle& bundle, const GoldenTensor& golden);

// The inputs of a golden sample.
Result<std::vector<Tensor>> golden_inputs(const Bundle& bundle, const GoldenSample& sample);

struct Judged {
  Verdict verdict;  // inconclusive: no golden samples, or the artifact has no tolerances
  std::vector<std::string> reasons;
  std::vector<Figures> outputs;
};

// Runs all golden samples, each by itself. A run that fails is a reason, a golden file that cannot
// be read an Error.
Result<Judged> judge(const Runner& runner);

}  // namespace edge_runner::tool
