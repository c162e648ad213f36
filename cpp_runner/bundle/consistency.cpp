// What must agree within a manifest.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "bundle/failure.hpp"
#include "bundle/manifest.hpp"
#include "bundle/names.hpp"

namespace edge_runner {
namespace {

[[noreturn]] void contradicts(const std::string& how) {
  fail(Code::inconsistent, "manifest.json contradicts itself: " + how + ".");
}

void check_files_are_distinct(const Manifest& manifest) {
  std::set<std::string, std::less<>> names;
  const auto add = [&](const std::string& name) {
    if (!names.insert(name).second) {
      fail(Code::listed_twice, name + " is listed twice in the manifest.");
    }
  };
  for (const Artifact& artifact : manifest.artifacts) add(artifact.file);
  for (const Listed& listed : manifest.files) add(listed.file);
  if (names.contains(kManifest)) contradicts("it lists itself");
  std::vector<std::string> all{std::string(kManifest)};
  all.insert(all.end(), names.begin(), names.end());
  check_names(all);
}

template <typename Values, typename Name>
void check_names_are_distinct(std::string_view what, const Values& values, Name name) {
  std::set<std::string_view> seen;
  for (const auto& value : values) {
    if (!seen.insert(name(value)).second) {
      contradicts("two " + std::string(what) + " are called " + edge_runner::quoted(name(value)));
    }
  }
}

void check_thresholds(const Manifest& manifest) {
  for (const Port& output : manifest.outputs) {
    const bool single = output.kind == "classification" && !output.shape.empty() &&
                        output.shape.back() == std::optional<std::int64_t>(1);
    if (single != output.threshold.has_value()) {
      contradicts(edge_runner::quoted(output.name) +
                  (single ? " needs a threshold" : " is no single score and has a threshold"));
    }
  }
}

void check_batch_axes(const Manifest& manifest) {
  for (const auto* ports : {&manifest.inputs, &manifest.outputs}) {
    for (const Port& port : *ports) {
      if (port.batch_axis && *port.batch_axis >= port.shape.size()) {
        contradicts(edge_runner::quoted(port.name) + " has no axis " +
                    std::to_string(*port.batch_axis) + " to count samples");
      }
    }
  }
}

void check_verdicts(const Manifest& manifest) {
  const bool all_pass = manifest.verdict == Verdict::pass &&
                        std::all_of(manifest.artifacts.begin(), manifest.artifacts.end(),
                                    [](const Artifact& a) { return a.verdict == Verdict::pass; });
  if (manifest.allow_failed == all_pass) {
    contradicts(all_pass ? "allow_failed is true and all verdicts are pass"
                         : "allow_failed is false and not all verdicts are pass");
  }
}

bool fits(const Shape& shape, const std::vector<std::optional<std::int64_t>>& declared) {
  return std::equal(shape.begin(), shape.end(), declared.begin(), declared.end(),
                    [](std::int64_t size, const auto& fixed) { return !fixed || *fixed == size; });
}

using Sizes = std::map<std::string_view, std::uint64_t>;

void check_golden(const std::vector<GoldenTensor>& given, const std::vector<Port>& declared,
                  const Sizes& sizes, const std::string& where) {
  if (given.size() != declared.size()) {
    contradicts(where + " are " + std::to_string(given.size()) + " instead of " +
                std::to_string(declared.size()));
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const GoldenTensor& tensor = given[i];
    if (tensor.dtype != declared[i].dtype || !fits(tensor.shape, declared[i].shape)) {
      contradicts(where + ": " + tensor.file + " does not fit " +
                  edge_runner::quoted(declared[i].name));
    }
    const auto found = sizes.find(tensor.file);
    if (found == sizes.end()) contradicts(where + ": " + tensor.file + " is not among the files");
    if (found->second != tensor_bytes(tensor.dtype, tensor.shape)) {
      contradicts(where + ": " + tensor.file + " has not the bytes of its shape");
    }
  }
}

void check_listed(const Manifest& manifest) {
  Sizes sizes;
  for (const Listed& listed : manifest.files) sizes.emplace(listed.file, listed.bytes);
  for (const Port& output : manifest.outputs) {
    if (output.labels && !sizes.contains(*output.labels)) {
      contradicts(*output.labels + " is not among the files");
    }
  }
  for (std::size_t i = 0; i < manifest.golden.size(); ++i) {
    const std::string where = "golden sample " + std::to_string(i);
    check_golden(manifest.golden[i].inputs, manifest.inputs, sizes, where + ", inputs");
    check_golden(manifest.golden[i].outputs, manifest.outputs, sizes, where + ", outputs");
  }
}

}  // namespace

void check_consistency(const Manifest& manifest) {
  check_files_are_distinct(manifest);
  const auto port_name = [](const Port& port) -> std::string_view { return port.name; };
  check_names_are_distinct("inputs", manifest.inputs, port_name);
  check_names_are_distinct("outputs", manifest.outputs, port_name);
  check_names_are_distinct("artifacts", manifest.artifacts,
                           [](const Artifact& a) -> std::string_view { return a.id; });
  check_batch_axes(manifest);
  check_thresholds(manifest);
  for (const Artifact& artifact : manifest.artifacts) {
    const std::size_t count = artifact.tolerances.size();
    if (count != 0 && count != manifest.outputs.size()) {
      contradicts(artifact.id + " has " + std::to_string(count) + " tolerances for " +
                  std::to_string(manifest.outputs.size()) + " outputs");
    }
  }
  check_verdicts(manifest);
  check_listed(manifest);
}

}  // namespace edge_runner
