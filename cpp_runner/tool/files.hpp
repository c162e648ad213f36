// Files of the user's, as inputs of a model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

// Code: cannot_read.
Result<Bytes> read_file(const std::filesystem::path& path);

// Whole or not at all. Code: cannot_read.
Result<Done> write_file(const std::filesystem::path& path, const Bytes& bytes);

// A file as the input `port`, with a batch axis: .png, .jpg, .jpeg for pictures, .npy with or
// without the batch axis, anything else raw numbers of `raw_shape`, or of the port's if that is
// empty. Codes: cannot_read, bad_input.
Result<Tensor> read_input(const Port& port, const std::string& file, const Shape& raw_shape);

}  // namespace edge_runner::tool
