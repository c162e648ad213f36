// JSON alone: what a manifest is not, but what its parser must take.
#include <cstddef>
#include <cstdint>
#include <span>

#include "bundle/failure.hpp"
#include "bundle/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    (void)edge_runner::parse_json(std::as_bytes(std::span(data, size)));
  } catch (const edge_runner::Failure&) {  // it is refused
  }
  return 0;
}
