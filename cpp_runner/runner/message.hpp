// What a backend's library said, as one line. Header only, since modules link to nothing of ours.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "edge_runner/error.hpp"

namespace edge_runner {

inline constexpr std::size_t longest_message = 300;

// LibTorch gives a trace of the script first and the cause last ("RuntimeError: ..."); other
// messages have the cause first. Long ones are cut in the middle.
[[nodiscard]] inline std::string one_line(std::string_view said) {
  constexpr std::string_view marker = "Error: ";
  if (const auto at = said.rfind(marker); at != std::string_view::npos) {
    said.remove_prefix(at + marker.size());
  }
  while (!said.empty() && (said.front() == '\n' || said.front() == ' ')) said.remove_prefix(1);
  std::string line(said.substr(0, said.find('\n')));
  if (line.empty()) line = "no reason was given";
  if (line.size() > longest_message) {
    constexpr std::size_t half = longest_message / 2 - 3;
    line.replace(half, line.size() - 2 * half, " ... ");
  }
  return line;
}

[[nodiscard]] inline Error failed(std::string_view said) {
  return {Code::backend_failed, one_line(said)};
}

}  // namespace edge_runner
