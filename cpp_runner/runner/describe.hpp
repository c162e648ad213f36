// How a tensor or port is called in a message.
#pragma once

#include <string>

#include "edge_runner/runner.hpp"

namespace edge_runner {

// "uint8[1, 8, 8, 1]"
[[nodiscard]] inline std::string describe(DType dtype, const Shape& shape) {
  std::string text(to_string(dtype));
  text += '[';
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + ']';
}

// The same for a port: "uint8[any, any, any, 1]"
[[nodiscard]] inline std::string describe(const Port& port) {
  std::string text(to_string(port.dtype));
  text += '[';
  for (std::size_t i = 0; i < port.shape.size(); ++i) {
    text += i == 0 ? "" : ", ";
    text += port.shape[i] ? std::to_string(*port.shape[i]) : "any";
  }
  return text + ']';
}

}  // namespace edge_runner
