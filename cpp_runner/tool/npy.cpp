#include "tool/npy.hpp"

#include <array>
#include <limits>
#include <optional>

#include "tool/npy_header.hpp"

namespace edge_runner::tool {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

struct Row {
  std::string_view descr;
  DType dtype;
};
constexpr std::array types = {
    Row{"|b1", DType::boolean}, Row{"|u1", DType::uint8},   Row{"|i1", DType::int8},
    Row{"<i2", DType::int16},   Row{"<i4", DType::int32},   Row{"<i8", DType::int64},
    Row{"<f2", DType::float16}, Row{"<f4", DType::float32}, Row{"<f8", DType::float64},
};

// NumPy writes "<f4" and "|u1"; a reader takes the other ways to say the same.
std::optional<DType> dtype_of_descr(std::string_view descr) {
  const char order = descr.empty() ? '\0' : descr.front();
  const bool ordered = order == '<' || order == '=' || order == '|' || order == '>';
  const std::string_view kind = ordered ? descr.substr(1) : descr;
  if (kind == "?") return DType::boolean;
  for (const Row& row : types) {
    if (kind == row.descr.substr(1) && (order != '>' || size_of(row.dtype) == 1)) return row.dtype;
  }
  return std::nullopt;
}

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

std::optional<std::size_t> bytes_of(DType dtype, const Shape& shape) {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t axis : shape) {
    const auto size = static_cast<std::size_t>(axis);
    if (size != 0 && bytes > std::numeric_limits<std::size_t>::max() / size) return std::nullopt;
    bytes *= size;
  }
  return bytes;
}

}  // namespace

Result<Tensor> parse_npy(std::span<const std::byte> file, const std::string& name) {
  const auto bad = [&](std::string_view what) {
    return Error{Code::bad_input, name + ": " + std::string(what)};
  };
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(magic) || text.size() < 12) return bad("is not an .npy file");
  const int version = static_cast<unsigned char>(text[6]);
  if (version < 1 || version > 3 || text[7] != 0) {
    return bad("is of a version of .npy that is not known; 1.0 to 3.0 are");
  }
  const std::size_t width = version == 1 ? 2 : 4;  // of the header's length
  const std::size_t start = 8 + width;
  const std::size_t length = little_endian(text.substr(8, width));
  if (length > longest_npy_header) {
    return bad("has a header of " + std::to_string(length) + " bytes; at most " +
               std::to_string(longest_npy_header) + " are read");
  }
  if (length > text.size() - start) return bad("ends within its header");
  const auto header = parse_npy_header(text.substr(start, length));
  if (!header) return bad("has a header of another kind");
  const auto dtype = dtype_of_descr(header->descr);
  if (!dtype) return bad("holds " + header->descr + ", which is no element type of a bundle");
  const Shape& shape = header->shape;
  if (header->fortran_order && shape.size() > 1) {
    return bad("is in Fortran order; save numpy.ascontiguousarray(x)");
  }
  const auto data = file.subspan(start + length);
  if (bytes_of(*dtype, shape) != data.size()) return bad("has not the bytes of its shape");
  return Tensor{*dtype, shape, Bytes(data.begin(), data.end())};
}

Bytes to_npy(const Tensor& tensor) {
  std::string header = "{'descr': '";
  for (const Row& row : types) {
    if (row.dtype == tensor.dtype) header += row.descr;
  }
  header += "', 'fortran_order': False, 'shape': (";
  for (const std::int64_t axis : tensor.shape) header += std::to_string(axis) + ", ";
  header += "), }";
  // Data starts at a multiple of 64, behind a line feed.
  constexpr std::size_t before = 10, align = 64;
  header.resize((before + header.size() + align) / align * align - before - 1, ' ');
  header += '\n';
  std::string start = std::string(magic) + std::string("\x01\x00", 2);
  start += static_cast<char>(header.size() & 0xFF);
  start += static_cast<char>(header.size() >> 8);
  start += header;
  const auto head = std::as_bytes(std::span(start));
  Bytes file(head.begin(), head.end());
  file.insert(file.end(), tensor.data.begin(), tensor.data.end());
  return file;
}

}  // namespace edge_runner::tool
