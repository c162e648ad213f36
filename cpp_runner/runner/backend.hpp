// What a backend is. One file each: null.cpp in the library, the others in modules of their own,
// which the library loads when they are first used (modules.hpp).
//
// A module shares no code with the library, only these types: it needs no symbol of it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner {

// A loaded model.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  // The inputs fit the signature already; the outputs are validated at by the caller. Safe from
  // several threads. Code: backend_failed.
  virtual Result<std::vector<Tensor>> run(std::span<const Tensor> inputs) = 0;

  [[nodiscard]] virtual About about() const = 0;
};

// Lives only during the call; `file` has been hashed and validated at.
struct Request {
  std::span<const std::byte> file;
  const Manifest& manifest;
  const Artifact& artifact;
  int threads;  // at least 1
  bool spinning;
  void* library;  // dlopen's handle of the backend's library; null for the null backend
};

using OpenModel = Result<std::unique_ptr<Model>>(const Request& request);

// Changes whenever something above does, so that a module left from an older build is not called.
inline constexpr int module_version = 1;

struct Module {
  int version;
  OpenModel* open;  // Codes: backend_failed, no_backend; throws std::bad_alloc at most
};

// The name under which a module exports `extern "C" const edge_runner::Module edge_backend`.
inline constexpr const char* module_symbol = "edge_backend";

// null.cpp: zeros of the right shape at once, to measure what everything around a backend costs.
OpenModel open_null;

}  // namespace edge_runner
