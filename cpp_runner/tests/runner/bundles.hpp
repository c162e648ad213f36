// Bundles for the tests: the frozen one, and changed copies of it with a right digest.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "edge_runner/runner.hpp"

namespace edge_runner::test {

std::filesystem::path golden();  // tests/golden/bundle-v1

// How often something random is tried: a quarter of it, all where EDGE_RUNNER_THOROUGH is set.
inline int rounds(int all) {
  return std::getenv("EDGE_RUNNER_THOROUGH") != nullptr ? all : all / 4;
}

// A folder of its own that goes with it, under a name with a blank.
class Scratch {
 public:
  Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A copy of the frozen bundle with another manifest: `change` gets it as JSON, then sizes, hashes
// and the digest are made right again.
std::filesystem::path changed(const Scratch& scratch,
                              const std::function<void(nlohmann::json&)>& change);

// Artifact `id` alone, first to be taken.
std::filesystem::path only(const Scratch& scratch, const std::string& id);

Bundle opened(const std::filesystem::path& folder = golden());  // ends the test if it cannot

// uint8[batch, 8, 8, 1], other pixels for another seed.
Tensor picture(std::int64_t batch = 1, unsigned seed = 1);

bool has(Backend backend);

}  // namespace edge_runner::test
