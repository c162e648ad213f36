// The code of a TorchScript archive without the archive, whose CRCs hide it from mutations.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bundle/code.hpp"
#include "bundle/failure.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    edge_runner::Definitions definitions;
    edge_runner::add_definitions("code/__torch__/net.py", text, definitions);
    edge_runner::check_code("code/__torch__/net.py", text, definitions);
  } catch (const edge_runner::Failure&) {  // it is refused
  }
  return 0;
}
