// Which artifact to run, with which backend.
#pragma once

#include <string>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner {

struct Choice {
  const Artifact* artifact;  // of the bundle's manifest
  Backend backend;
  std::vector<std::string> warnings;
};

// As `edge_runner::choose`.
Result<Choice> choose_artifact(const Bundle& bundle, const Options& options);

}  // namespace edge_runner
