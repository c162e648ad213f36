// The header of an .npy file: the dictionary that says what the numbers behind it are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "edge_runner/bundle.hpp"

namespace edge_runner::tool {

struct NpyHeader {
  std::string descr;  // of the dtype, as NumPy writes it: "<f4"
  bool fortran_order = false;
  Shape shape;
};

// NumPy, too, reads no longer one.
inline constexpr std::size_t longest_npy_header = 10'000;

// A Python dictionary with the keys 'descr', 'fortran_order' and 'shape', each once, in any order.
// Nothing if it is anything else, such as one with a structured dtype, or if a size has more than
// 15 digits or the shape more than 64 axes.
std::optional<NpyHeader> parse_npy_header(std::string_view text);

}  // namespace edge_runner::tool
