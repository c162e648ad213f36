#include "tool/frames.hpp"

#include <array>
#include <istream>
#include <ostream>

namespace edge_runner::tool {
namespace {

constexpr std::size_t longest_header = 1 << 20;
constexpr std::size_t largest_tensor = std::size_t{1} << 34;

Error bad(std::string_view what) { return {Code::bad_input, "frame: " + std::string(what)}; }

std::optional<DType> dtype_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(DType::float64); ++i) {
    if (to_string(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

// An empty tensor of the right type and shape, and its bytes.
Result<Tensor> parse_tensor(const Json& json) {
  const auto dtype = dtype_named(json.at("dtype").get<std::string>());
  if (!dtype) return bad("no such dtype");
  Tensor tensor{*dtype, json.at("shape").get<Shape>(), {}};
  std::size_t bytes = size_of(*dtype);
  for (const std::int64_t axis : tensor.shape) {
    if (axis < 0) return bad("a negative axis");
    const auto size = static_cast<std::size_t>(axis);
    if (size != 0 && bytes > largest_tensor / size) return bad("a tensor beyond measure");
    bytes *= size;
  }
  tensor.data.resize(bytes);
  return tensor;
}

bool read_exactly(std::istream& in, void* to, std::size_t count) {
  return static_cast<bool>(in.read(static_cast<char*>(to), static_cast<std::streamsize>(count)));
}

Result<std::optional<std::vector<Tensor>>> read_body(std::istream& in, std::size_t length) {
  if (length > longest_header) return bad("a header of more than 1 MiB");
  std::string text(length, '\0');
  if (!read_exactly(in, text.data(), length)) return bad("cut short");
  std::vector<Tensor> tensors;
  const Json header = Json::parse(text);
  for (const Json& entry : header.at("tensors")) {
    auto tensor = parse_tensor(entry);
    if (!tensor) return tensor.error();
    if (!read_exactly(in, tensor->data.data(), tensor->data.size())) return bad("cut short");
    tensors.push_back(*std::move(tensor));
  }
  return std::optional(std::move(tensors));
}

}  // namespace

Result<std::optional<std::vector<Tensor>>> read_frame(std::istream& in) {
  std::array<unsigned char, 4> head{};
  if (in.peek() == std::istream::traits_type::eof()) return std::optional<std::vector<Tensor>>();
  if (!read_exactly(in, head.data(), head.size())) return bad("cut short");
  std::size_t length = 0;  // little-endian
  for (std::size_t i = 0; i < head.size(); ++i) length |= std::size_t{head[i]} << (8 * i);
  try {
    return read_body(in, length);
  } catch (const Json::exception& error) {
    return bad(error.what());
  }
}

bool write_frame(std::ostream& out, Json header, const std::vector<Tensor>& tensors) {
  if (!tensors.empty()) header["tensors"] = Json::array();
  for (const Tensor& tensor : tensors) {
    header["tensors"].push_back({{"dtype", to_string(tensor.dtype)}, {"shape", tensor.shape}});
  }
  const std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.put(static_cast<char>(text.size() >> shift & 0xFF));
  }
  out << text;
  for (const Tensor& tensor : tensors) {
    out.write(reinterpret_cast<const char*>(tensor.data.data()),
              static_cast<std::streamsize>(tensor.data.size()));
  }
  return static_cast<bool>(out.flush());
}

}  // namespace edge_runner::tool
