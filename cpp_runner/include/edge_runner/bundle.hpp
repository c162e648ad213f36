// A bundle on the disk: docs/bundle-format.md as types. Needs neither LibTorch nor ONNX Runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "edge_runner/error.hpp"

namespace edge_runner {

enum class DType : std::uint8_t {
  boolean,
  uint8,
  int8,
  int16,
  int32,
  int64,
  float16,
  float32,
  float64
};

[[nodiscard]] std::string_view to_string(DType dtype) noexcept;  // "uint8"
[[nodiscard]] std::size_t size_of(DType dtype) noexcept;         // bytes of one element

// Sizes of the axes.
using Shape = std::vector<std::int64_t>;

enum class Format : std::uint8_t { onnx, torchscript };
enum class Verdict : std::uint8_t { pass, fail, inconclusive };

[[nodiscard]] std::string_view to_string(Format format) noexcept;
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

// An input or output. An axis without a value may have any size.
struct Port {
  std::string name;
  DType dtype = DType::float32;
  std::vector<std::optional<std::int64_t>> shape;
  std::optional<std::size_t> batch_axis;  // counts samples; none: all samples of a batch share it
  std::string meaning;
  std::string kind;                   // "image", "tensor", "classification", "regression"
  std::optional<std::string> labels;  // outputs: the file with the names of the classes
  std::optional<double> threshold;    // outputs that are a single score: above it means yes
};

// What an answer may differ by from the reference's; nothing is asked where there is no value.
struct Tolerance {
  std::optional<double> max_abs;
  std::optional<double> max_rel;
  std::optional<double> min_sqnr_db;
  std::optional<double> min_top1;
  std::optional<double> max_drop;
  std::optional<double> tie;  // the reference's own margin below which classes may change places
};

// What was measured with an artifact in one runtime when the bundle was made.
struct Measured {
  std::string runtime;
  Verdict verdict = Verdict::inconclusive;
  std::vector<std::string> reasons;
  std::optional<double> max_abs, max_rel, cosine, sqnr_db, top1, metric, drop;
};

struct Artifact {
  std::string id;
  Format format = Format::onnx;
  std::string precision;
  std::optional<std::string> recipe;
  std::string file;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::uint64_t version = 0;
  std::string made_for;  // "any", "x86_64", "arm64"
  std::map<std::string, std::uint64_t> operators;
  std::vector<Tolerance> tolerances;  // one for each output, or none
  Verdict verdict = Verdict::inconclusive;
  std::vector<Measured> results;
};

struct GoldenTensor {
  std::string file;
  DType dtype = DType::float32;
  Shape shape;
};

struct GoldenSample {
  std::vector<GoldenTensor> inputs;
  std::vector<GoldenTensor> outputs;
  std::optional<std::uint64_t> label;
};

struct Listed {
  std::string file;
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Metric {
  std::string name;
  std::string goal;  // "max" or "min"
  std::optional<double> reference;
};

struct Verified {
  std::uint64_t samples = 0;
  bool synthetic = false;
  std::uint64_t threads = 0;
  std::string arch;
  std::vector<std::string> flags;
  std::optional<Metric> metric;
};

struct Manifest {
  std::string name, version, description, license;
  Verdict verdict = Verdict::inconclusive;
  bool allow_failed = false;
  std::vector<Port> inputs, outputs;
  std::vector<Artifact> artifacts;
  Verified verified;
  std::vector<GoldenSample> golden;
  std::vector<Listed> files;
  std::map<std::string, std::string> producer;
  std::string digest;
};

using Bytes = std::vector<std::byte>;

// An opened bundle: its folder stays open, so that what is read later is of the same folder even if
// the name leads elsewhere by then. Copies share it. All functions are safe from several threads.
class Bundle {
 public:
  // Checks everything that docs/bundle-format.md asks, in its order, but the hashes of files, which
  // `read` checks (`check_files` checks all). Codes: the refusals, cannot_read, out_of_memory.
  static Result<Bundle> open(const std::filesystem::path& folder) noexcept;

  // From the text of a manifest alone, without its folder; `read` then fails.
  static Result<Manifest> parse(std::span<const std::byte> manifest) noexcept;

  [[nodiscard]] const Manifest& manifest() const noexcept;
  [[nodiscard]] const std::filesystem::path& folder() const noexcept;

  // The artifact of that id; null if there is none.
  [[nodiscard]] const Artifact* artifact(std::string_view id) const noexcept;

  // The bytes of a listed file or artifact: exactly those whose size and SHA-256 were compared.
  [[nodiscard]] Result<Bytes> read(std::string_view file) const noexcept;

  // As `read`, and then the structural look (`validate_onnx`, `validate_torchscript`).
  [[nodiscard]] Result<Bytes> read_model(const Artifact& artifact) const noexcept;

  // Reads and compares every file.
  [[nodiscard]] Result<Done> check_files() const noexcept;

  // The names of the classes of an output, [] if it has none.
  [[nodiscard]] Result<std::vector<std::string>> labels(const Port& output) const noexcept;

 private:
  struct State;
  explicit Bundle(std::shared_ptr<const State> state) noexcept;
  std::shared_ptr<const State> state_;
};

// Refuses, with unsafe_model, an ONNX file that could surprise a runtime: external data, unknown
// domains, tensors whose bytes are not dims × type, depth or size out of bounds, bytes that are no
// protobuf. A wire walk: nothing is allocated for what the file claims.
[[nodiscard]] Result<Done> validate_onnx(std::span<const std::byte> file) noexcept;

// The same for a TorchScript archive: one end record, local and central headers that agree, no
// overlap, no duplicate or odd names, CRCs, no `.debug_pkl`, and code with no operators but those
// of the allow-list (a TorchScript file is a program: `aten::save` writes files).
[[nodiscard]] Result<Done> validate_torchscript(std::span<const std::byte> file) noexcept;

}  // namespace edge_runner
