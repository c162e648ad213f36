#include <algorithm>
#include <iostream>

#include "runner/describe.hpp"
#include "tool/commands.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

Json to_json(const Artifact& artifact) {
  return {{"id", artifact.id},
          {"format", to_string(artifact.format)},
          {"precision", artifact.precision},
          {"file", artifact.file},
          {"bytes", artifact.bytes},
          {"sha256", artifact.sha256},
          {"made_for", artifact.made_for},
          {"verdict", to_string(artifact.verdict)}};
}

template <typename Values>
Json list(const Values& values) {
  Json json = Json::array();
  for (const auto& value : values) json.push_back(to_json(value));
  return json;
}

Json backends() {
  Json names = Json::array();
  for (const Backend backend : available_backends()) names.push_back(to_string(backend));
  return names;
}

void print_ports(const char* what, const std::vector<Port>& ports) {
  for (const Port& port : ports) {
    std::cout << what << port.name << "  " << describe(port) << "  " << port.meaning << '\n';
    what = "            ";
  }
}

void print_text(const Manifest& manifest, const Result<std::string>& chosen) {
  std::cout << manifest.name << ' ' << manifest.version
            << (manifest.license.empty() ? "" : ", " + manifest.license) << '\n';
  if (!manifest.description.empty()) std::cout << manifest.description << '\n';
  std::cout << "\nverdict     " << to_string(manifest.verdict) << '\n'
            << "digest      " << manifest.digest << '\n'
            << "golden      " << manifest.golden.size() << " samples\n";
  print_ports("inputs      ", manifest.inputs);
  print_ports("outputs     ", manifest.outputs);
  std::cout << "backends    ";
  for (const Backend backend : available_backends()) std::cout << to_string(backend) << ' ';
  std::size_t width = 0;
  for (const Artifact& artifact : manifest.artifacts) width = std::max(width, artifact.id.size());
  std::cout << "\n\n  " << padded("artifact", width + 2) << "verdict       made for   size\n";
  for (const Artifact& artifact : manifest.artifacts) {
    std::cout << (chosen && *chosen == artifact.id ? "* " : "  ") << padded(artifact.id, width + 2)
              << padded(std::string(to_string(artifact.verdict)), 14)
              << padded(artifact.made_for, 11) << bytes(artifact.bytes) << '\n';
  }
  std::cout << (chosen ? "* is taken here, unless another is named\n"
                       : "none is taken here: " + chosen.error().message + "\n");
}

}  // namespace

int info(const Common& common) {
  const auto bundle = Bundle::open(common.bundle);
  if (!bundle) return fail(bundle.error(), common.json);
  const Manifest& manifest = bundle->manifest();
  const auto chosen = choose(*bundle, common.options);
  if (!common.json) {
    print_text(manifest, chosen);
    return Exit::done;
  }
  Json json = {{"name", manifest.name},
               {"version", manifest.version},
               {"description", manifest.description},
               {"license", manifest.license},
               {"verdict", to_string(manifest.verdict)},
               {"digest", manifest.digest},
               {"inputs", Json::array()},
               {"outputs", Json::array()},
               {"artifacts", list(manifest.artifacts)},
               {"golden", manifest.golden.size()},
               {"backends", backends()},
               {"takes", chosen ? Json(*chosen) : Json(nullptr)}};
  for (const Port& port : manifest.inputs) json["inputs"].push_back(tool::to_json(port));
  for (const Port& port : manifest.outputs) json["outputs"].push_back(tool::to_json(port));
  print(json);
  return Exit::done;
}

}  // namespace edge_runner::tool
