// Where backends are on this machine, and how they come into the process.
//
// A backend is two files: its module, beside this library, and its library, validated for in this
// order:
//   1. the folder or file that EDGE_RUNNER_ONNXRUNTIME or EDGE_RUNNER_LIBTORCH names (then only
//   there)
//   2. beside this library
//   3. the folder that it was built with
//   4. the folders of LD_LIBRARY_PATH, and those of the system
#pragma once

#include <filesystem>

#include "runner/backend.hpp"

namespace edge_runner {

[[nodiscard]] Backend backend_of(Format format) noexcept;

// Where its files are, without loading them. Code: no_backend, with what is missing and the remedy.
struct Found {
  std::filesystem::path module, library;
};
Result<Found> find_backend(Backend backend);

// Loads it, once for the process: it stays, since neither library can be taken out again safely.
struct Loaded {
  OpenModel* open;
  void* library;
};
Result<Loaded> load(Backend backend);

}  // namespace edge_runner
