#include "bundle/manifest.hpp"

#include <limits>
#include <string>
#include <string_view>

#include "bundle/failure.hpp"
#include "bundle/node.hpp"
#include "bundle/sha256.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxRank = 8;
constexpr std::int64_t kMaxAxis = std::numeric_limits<std::int32_t>::max();

Verdict read_verdict(const Node& node) {
  constexpr Verdict verdicts[] = {Verdict::pass, Verdict::fail, Verdict::inconclusive};
  return verdicts[node.one_of({"pass", "fail", "inconclusive"})];
}

DType read_dtype(const Node& node) {
  // In the order of DType.
  return static_cast<DType>(node.one_of(
      {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}));
}

std::vector<Node> axes_of(const Node& shape) {
  std::vector<Node> axes = shape.items();
  if (axes.size() > kMaxRank) shape.refuse("more than 8 axes");
  return axes;
}

// The keys that inputs and outputs share.
Port read_port(const Node& node, int schema) {
  Port port;
  port.name = node["name"].name();
  port.dtype = read_dtype(node["dtype"]);
  Shape sizes;
  for (const Node& axis : axes_of(node["shape"])) {
    if (axis.is_null()) {
      port.shape.emplace_back();
      continue;
    }
    sizes.push_back(static_cast<std::int64_t>(axis.integer(1, kMaxAxis)));
    port.shape.emplace_back(sizes.back());
  }
  static_cast<void>(tensor_bytes(port.dtype, sizes));
  if (schema > 1 && !node["batch_axis"].is_null()) {
    port.batch_axis = static_cast<std::size_t>(node["batch_axis"].integer(0, kMaxRank - 1));
  }
  port.meaning = node["meaning"].line();
  return port;
}

// The keys of a port; in schema 1 the axis of the batch is no key.
void has_keys(const Node& node, int schema, std::vector<std::string_view> keys) {
  if (schema > 1) keys.emplace_back("batch_axis");
  node.has_exactly(keys);
}

// What schema 1 says of it: the first axis counts samples where it may have any size, or has that
// of the first input's.
void imply_batch_axes(Manifest& manifest) {
  const auto first = manifest.inputs.front().shape;
  for (auto* ports : {&manifest.inputs, &manifest.outputs}) {
    for (Port& port : *ports) {
      if (port.shape.empty()) continue;
      const auto& rows = port.shape.front();
      if (!rows || (!first.empty() && rows == first.front())) port.batch_axis = 0;
    }
  }
}

Port read_input(const Node& node, int schema) {
  has_keys(node, schema, {"name", "dtype", "shape", "meaning", "kind"});
  Port port = read_port(node, schema);
  port.kind = node["kind"].one_of({"image", "tensor"}) == 0 ? "image" : "tensor";
  return port;
}

Port read_output(const Node& node, int schema) {
  has_keys(node, schema, {"name", "dtype", "shape", "meaning", "kind", "labels", "threshold"});
  Port port = read_port(node, schema);
  constexpr const char* kinds[] = {"classification", "regression", "tensor"};
  port.kind = kinds[node["kind"].one_of({"classification", "regression", "tensor"})];
  port.labels = node["labels"].optional(&Node::file);
  port.threshold = node["threshold"].optional(&Node::number);
  return port;
}

Tolerance read_tolerance(const Node& node) {
  node.has_exactly({"max_abs", "max_rel", "min_sqnr_db", "min_top1", "max_drop", "tie"});
  return {.max_abs = node["max_abs"].optional(&Node::positive),
          .max_rel = node["max_rel"].optional(&Node::positive),
          .min_sqnr_db = node["min_sqnr_db"].optional(&Node::number),
          .min_top1 = node["min_top1"].optional(&Node::share),
          .max_drop = node["max_drop"].optional(&Node::number),
          .tie = node["tie"].optional(&Node::not_negative)};
}

Measured read_result(const Node& node) {
  node.has_exactly({"runtime", "verdict", "reasons", "max_abs", "max_rel", "cosine", "sqnr_db",
                    "top1", "metric", "drop"});
  return {.runtime = node["runtime"].identifier(),
          .verdict = read_verdict(node["verdict"]),
          .reasons = node["reasons"].each([](const Node& reason) { return reason.line(); }),
          .max_abs = node["max_abs"].optional(&Node::not_negative),
          .max_rel = node["max_rel"].optional(&Node::not_negative),
          .cosine = node["cosine"].optional(&Node::number),
          .sqnr_db = node["sqnr_db"].optional(&Node::number),
          .top1 = node["top1"].optional(&Node::share),
          .metric = node["metric"].optional(&Node::number),
          .drop = node["drop"].optional(&Node::number)};
}

std::map<std::string, std::uint64_t> read_operators(const Node& node) {
  std::map<std::string, std::uint64_t> operators;
  for (const auto& [name, count] : node.members()) {
    const Json key{name};
    operators.emplace(Node(key, "a key of operators").name(), count.integer());
  }
  return operators;
}

Artifact read_artifact(const Node& node) {
  node.has_exactly({"id", "format", "precision", "recipe", "file", "bytes", "sha256", "version",
                    "made_for", "operators", "tolerances", "verdict", "results"});
  constexpr const char* precisions[] = {"fp32", "fp16", "int8", "int4"};
  return {.id = node["id"].identifier(),
          .format = node["format"].one_of({"onnx", "torchscript"}) == 0 ? Format::onnx
                                                                        : Format::torchscript,
          .precision = precisions[node["precision"].one_of({"fp32", "fp16", "int8", "int4"})],
          .recipe = node["recipe"].optional(&Node::identifier),
          .file = node["file"].file(),
          .bytes = node["bytes"].integer(),
          .sha256 = node["sha256"].hash(),
          .version = node["version"].integer(),
          .made_for = node["made_for"].identifier(),
          .operators = read_operators(node["operators"]),
          .tolerances = node["tolerances"].each(read_tolerance),
          .verdict = read_verdict(node["verdict"]),
          .results = node["results"].each(read_result)};
}

GoldenTensor read_golden_tensor(const Node& node) {
  node.has_exactly({"file", "dtype", "shape"});
  GoldenTensor tensor{node["file"].file(), read_dtype(node["dtype"]), {}};
  for (const Node& axis : axes_of(node["shape"])) {
    tensor.shape.push_back(static_cast<std::int64_t>(axis.integer(0, kMaxAxis)));
  }
  static_cast<void>(tensor_bytes(tensor.dtype, tensor.shape));
  return tensor;
}

GoldenSample read_sample(const Node& node) {
  node.has_exactly({"inputs", "outputs", "label"});
  GoldenSample sample{
      node["inputs"].each(read_golden_tensor), node["outputs"].each(read_golden_tensor), {}};
  if (!node["label"].is_null()) sample.label = node["label"].integer();
  return sample;
}

Listed read_listed(const Node& node) {
  node.has_exactly({"file", "bytes", "sha256"});
  return {node["file"].file(), node["bytes"].integer(), node["sha256"].hash()};
}

Metric read_metric(const Node& node) {
  node.has_exactly({"name", "goal", "reference"});
  return {.name = node["name"].name(),
          .goal = node["goal"].one_of({"max", "min"}) == 0 ? "max" : "min",
          .reference = node["reference"].optional(&Node::number)};
}

Verified read_verified(const Node& node) {
  node.has_exactly({"samples", "synthetic", "threads", "arch", "flags", "metric"});
  Verified verified{.samples = node["samples"].integer(),
                    .synthetic = node["synthetic"].boolean(),
                    .threads = node["threads"].integer(),
                    .arch = node["arch"].identifier(),
                    .flags = node["flags"].each([](const Node& flag) { return flag.identifier(); }),
                    .metric = {}};
  if (!node["metric"].is_null()) verified.metric = read_metric(node["metric"]);
  return verified;
}

std::map<std::string, std::string> read_producer(const Node& node) {
  node.has_exactly({"pipeline", "python", "torch", "onnx", "onnxruntime"});
  std::map<std::string, std::string> producer;
  for (const auto& [key, version] : node.members()) producer.emplace(key, version.name());
  return producer;
}

// At least one of them.
template <typename Read>
auto read_some(const Node& node, Read read) {
  auto values = node.each(read);
  if (values.empty()) node.refuse("empty");
  return values;
}

int read_schema(const Json& json) {
  const auto* object = std::get_if<JsonObject>(&json.value);
  if (object == nullptr) Node(json, "").refuse("not an object");
  for (const auto& [key, value] : *object) {
    if (key != "schema") continue;
    const auto* schema = std::get_if<std::int64_t>(&value.value);
    if (schema != nullptr && (*schema == 1 || *schema == 2)) return static_cast<int>(*schema);
    fail(Code::unsupported_schema,
         "manifest.json says another schema than 1 and 2, those that this reader knows.");
  }
  fail(Code::missing_key, "manifest.json lacks the key \"schema\".");
}

Manifest read_manifest(const Node& node, int schema) {
  node.has_exactly({"schema", "name", "version", "description", "license", "verdict",
                    "allow_failed", "inputs", "outputs", "artifacts", "verified", "golden", "files",
                    "producer", "digest"});
  Manifest manifest;
  manifest.digest = node["digest"].hash();
  manifest.name = node["name"].identifier();
  manifest.version = node["version"].identifier();
  manifest.description = node["description"].text();
  manifest.license = node["license"].line();
  manifest.verdict = read_verdict(node["verdict"]);
  manifest.allow_failed = node["allow_failed"].boolean();
  const auto input = [&](const Node& port) { return read_input(port, schema); };
  const auto output = [&](const Node& port) { return read_output(port, schema); };
  manifest.inputs = read_some(node["inputs"], input);
  manifest.outputs = read_some(node["outputs"], output);
  if (schema == 1) imply_batch_axes(manifest);
  manifest.artifacts = read_some(node["artifacts"], read_artifact);
  manifest.verified = read_verified(node["verified"]);
  manifest.golden = node["golden"].each(read_sample);
  manifest.files = node["files"].each(read_listed);
  manifest.producer = read_producer(node["producer"]);
  return manifest;
}

// The digest stands once, and is the SHA-256 of the text with zeros in its place.
void check_digest(std::span<const std::byte> text, std::string_view digest) {
  const std::string_view letters(reinterpret_cast<const char*>(text.data()), text.size());
  const std::size_t place = letters.find(digest);
  const bool once = place != std::string_view::npos &&
                    letters.find(digest, place + digest.size()) == std::string_view::npos;
  std::string blank(letters);
  if (once) blank.replace(place, digest.size(), digest.size(), '0');
  Sha256 hash;
  hash.update(std::as_bytes(std::span(blank)));
  if (!once || hash.hex() != digest) {
    fail(Code::wrong_hash, "manifest.json is damaged: its SHA-256 is not its digest.");
  }
}

}  // namespace

std::uint64_t tensor_bytes(DType dtype, const Shape& shape) {
  constexpr auto most = static_cast<std::uint64_t>(kMaxInteger);
  std::uint64_t largest = size_of(dtype), bytes = largest;
  for (const std::int64_t axis : shape) {
    const auto size = static_cast<std::uint64_t>(axis);
    if (size != 0 && largest > most / size) {
      fail(Code::tensor_too_large, "manifest.json: a tensor has 2^53 bytes or more.");
    }
    if (size != 0) largest *= size;
    bytes *= size;
  }
  return bytes;
}

Manifest parse_manifest(std::span<const std::byte> text) {
  if (text.size() > kMaxManifest) {
    fail(Code::manifest_too_large,
         "manifest.json has " + std::to_string(text.size()) + " bytes; at most 1 MiB is read.");
  }
  const Json json = parse_json(text);
  const int schema = read_schema(json);
  Manifest manifest = read_manifest(Node(json, ""), schema);
  check_consistency(manifest);
  check_digest(text, manifest.digest);
  return manifest;
}

}  // namespace edge_runner
