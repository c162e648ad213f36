// What stands behind the magic string of an .npy file, and the header alone.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tool/npy.hpp"
#include "tool/npy_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)edge_runner::tool::parse_npy_header(text);
  const std::string file = "\x93NUMPY" + std::string(text);
  (void)edge_runner::tool::parse_npy(std::as_bytes(std::span(file)), "x");
  return 0;
}
