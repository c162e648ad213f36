#include <array>

#include "edge_runner/bundle.hpp"

namespace edge_runner {
namespace {

struct Type {
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<Type, 9> kTypes = {{{"bool", 1},
                                         {"uint8", 1},
                                         {"int8", 1},
                                         {"int16", 2},
                                         {"int32", 4},
                                         {"int64", 8},
                                         {"float16", 2},
                                         {"float32", 4},
                                         {"float64", 8}}};

}  // namespace

std::string_view to_string(DType dtype) noexcept {
  return kTypes[static_cast<std::size_t>(dtype)].name;
}

std::size_t size_of(DType dtype) noexcept { return kTypes[static_cast<std::size_t>(dtype)].bytes; }

std::string_view to_string(Format format) noexcept {
  return format == Format::onnx ? "onnx" : "torchscript";
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::pass:
      return "pass";
    case Verdict::fail:
      return "fail";
    case Verdict::inconclusive:
      break;
  }
  return "inconclusive";
}

}  // namespace edge_runner
