// NumPy's file format for arrays, versions 1 to 3: little-endian, C order, the types of a bundle,
// headers of up to 10 000 bytes.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <filesystem>
#include <span>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// Code: bad_input, with what it is instead. `name` is for the message.
Result<Tensor> parse_npy(std::span<const std::byte> file, const std::string& name);

Bytes to_npy(const Tensor& tensor);

}  // namespace edge_runner::tool
