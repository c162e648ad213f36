#include <cstddef>
#include <cstdint>
#include <span>

#include "edge_runner/bundle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)edge_runner::validate_torchscript(std::as_bytes(std::span(data, size)));
  return 0;
}
