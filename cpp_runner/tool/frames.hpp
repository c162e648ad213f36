// The frames that `edge-runner exec` reads and writes; docs/cpp-runner.md has the format:
// 4 bytes little-endian, the length of a JSON object in UTF-8; that object; and the numbers of the
// tensors that its "tensors" lists, one behind the other, little-endian and in C order.
#pragma once

#include <iosfwd>
#include <optional>
#include <vector>

#include "tool/print.hpp"

namespace edge_runner::tool {

// The tensors of the next frame; nothing at the end of the stream. Code: bad_input, after which the
// stream is of no more use.
Result<std::optional<std::vector<Tensor>>> read_frame(std::istream& in);

// `header` gets the list of the tensors. False if it cannot be written.
bool write_frame(std::ostream& out, Json header, const std::vector<Tensor>& tensors);

}  // namespace edge_runner::tool
