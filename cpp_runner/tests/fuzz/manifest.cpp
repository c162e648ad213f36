// The manifest of a bundle: JSON, keys, values and their agreement.
#include <cstddef>
#include <cstdint>
#include <span>

#include "edge_runner/bundle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)edge_runner::Bundle::parse(std::as_bytes(std::span(data, size)));
  return 0;
}
