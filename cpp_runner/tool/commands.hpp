// The commands of edge-runner. Each prints what it found and gives the exit code:
//
//   0   done
//   1   the verdict is not pass, or a model gave an answer that is none
//   2   usage: an argument, an input file, a bundle that is not there
//   3   this machine lacks something: a backend, memory, a right
//   4   the bundle is refused
//   70  a mistake of this program
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

enum Exit : int { done = 0, not_passed = 1, usage = 2, machine = 3, damaged = 4, mistake = 70 };

struct Common {
  std::string bundle;
  Options options;
  bool json = false;
};

int info(const Common& common);

int verify(const Common& common);

struct RunOptions {
  std::vector<std::string> files;
  std::vector<std::int64_t> shape;  // of raw files, the batch included; empty: the signature's
  std::size_t batch = 1;            // samples at a time, where their shapes are alike
  std::size_t top = 5;
  std::string out;  // folder for outputs as .npy; empty: none
};
int run(const Common& common, const RunOptions& asked);

struct BenchOptions {
  std::size_t runs = 64;
  double seconds = 10.0;
  std::size_t warm_runs = 10;
  double warm_seconds = 0.5;
  std::size_t batch = 1;
  std::uint64_t seed = 0;  // of the draw of samples
};
int bench(const Common& common, const BenchOptions& asked);

// Answers frames on the standard input with frames on the standard output, for programs that feed
// many samples; docs/cpp-runner.md has the format.
int exec(const Common& common);

}  // namespace edge_runner::tool
