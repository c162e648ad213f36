#include "tool/print.hpp"

#include <array>
#include <cstdio>
#include <iostream>

#include "tool/commands.hpp"

namespace edge_runner::tool {

int exit_code(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return Exit::done;
    case Code::bad_output:
    case Code::not_finite:
      return Exit::not_passed;
    case Code::cannot_read:
    case Code::no_such_artifact:
    case Code::no_fitting_artifact:
    case Code::bad_input:
    case Code::bad_argument:
      return Exit::usage;
    case Code::no_backend:
    case Code::backend_failed:
    case Code::out_of_memory:
      return Exit::machine;
    case Code::closed:
    case Code::internal:
      return Exit::mistake;
    default:
      return Exit::damaged;  // the refusals, and a model that is unsafe
  }
}

int fail(const Error& error, bool json) {
  const std::string code(to_string(error.code));
  std::cerr << "edge-runner: " << error.message << " (" << code << ")\n";
  if (json) print({{"error", {{"code", code}, {"message", error.message}}}});
  return exit_code(error.code);
}

void print(const Json& json) {
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

void warn(const std::string& sentence) { std::cerr << "warning: " << sentence << '\n'; }

Json to_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json to_json(const Port& port) {
  Json shape = Json::array();
  for (const auto& axis : port.shape) shape.push_back(axis ? Json(*axis) : Json(nullptr));
  return {
      {"name", port.name}, {"dtype", to_string(port.dtype)},
      {"shape", shape},    {"batch_axis", port.batch_axis ? Json(*port.batch_axis) : Json(nullptr)},
      {"kind", port.kind}, {"meaning", port.meaning}};
}

Json to_json(const About& about) {
  return {{"backend", to_string(about.backend)},
          {"version", about.version},
          {"threads", about.threads},
          {"spinning", about.spinning},
          {"engine", about.engine.empty() ? Json(nullptr) : Json(about.engine)}};
}

Json identity(const Runner& runner) {
  const Manifest& manifest = runner.bundle().manifest();
  const Artifact& artifact = runner.artifact();
  return {{"bundle", manifest.name},
          {"version", manifest.version},
          {"digest", manifest.digest},
          {"artifact", artifact.id},
          {"format", to_string(artifact.format)},
          {"precision", artifact.precision},
          {"sha256", artifact.sha256},
          {"file_bytes", artifact.bytes},
          {"runtime", "cpp-" + std::string(to_string(runner.about().backend))},
          {"runner", to_json(runner.about())}};
}

std::string number(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*g", digits, value);
  return text.data();
}

std::string bytes(std::uint64_t count) {
  const auto size = static_cast<double>(count);
  if (size < 1e3) return std::to_string(count) + " B";
  return size < 1e6 ? number(size / 1e3) + " kB" : number(size / 1e6) + " MB";
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

}  // namespace edge_runner::tool
