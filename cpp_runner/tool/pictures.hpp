// PNG and JPEG files as pixels, by the same libraries as Pillow's, so that the pixels are the same.
#pragma once

#include <span>
#include <string>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// uint8[1, height, width, channels], where channels is 1 or 3. Grey from colours is
// 0.299 R + 0.587 G + 0.114 B (ITU-R 601), as Pillow has it; transparency is dropped; a rotation
// that a camera noted is not applied. Pictures of more than 89 478 485 pixels, or more than 65 535
// a side, are refused before memory is taken for them. Code: bad_input.
Result<Tensor> decode_picture(std::span<const std::byte> file, std::int64_t channels,
                              const std::string& name);

}  // namespace edge_runner::tool
