// A file with a few bytes changed, put in or taken out, or cut.
#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace edge_runner::test {

inline std::string mutated(const std::string& file, std::mt19937& random) {
  std::string text = file;
  const auto below = [&](std::size_t limit) { return random() % limit; };
  switch (below(4)) {
    case 0:
      text.resize(below(text.size()));
      break;
    case 1:
      text.insert(below(text.size()), text.substr(below(text.size()), 1 + below(40)));
      break;
    case 2:
      text.erase(below(text.size()), 1 + below(40));
      break;
    default:
      for (std::size_t i = 1 + below(4); i > 0; --i) {
        text[below(text.size())] ^= static_cast<char>(1U << below(8));
      }
  }
  return text;
}

}  // namespace edge_runner::test
