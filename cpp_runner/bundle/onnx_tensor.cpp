#include "onnx_tensor.hpp"

#include <array>
#include <cstdint>
#include <limits>

#include "wire.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxAxes = 64;
constexpr std::uint64_t kMaxBits = std::uint64_t{1} << 53U;  // as every tensor of a bundle
constexpr std::uint64_t kString = 8;

// Bits of an element by TensorProto.DataType, 0 where a runner can't say: undefined, strings, and
// the 6-bit floats, whose packing no runtime agrees upon.
constexpr std::array<std::uint8_t, 27> kBits = {
    0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2};

// The field that holds the numbers of a type where raw_data doesn't, and how many of its numbers
// make an element (complex: 2).
struct Place {
  std::uint32_t field = 0;
  std::uint64_t numbers = 1;
};

Place place_of(std::uint64_t type) {
  switch (type) {
    case 1:
      return {4, 1};
    case 14:
      return {4, 2};
    case 7:
      return {7, 1};
    case kString:
      return {6, 1};
    case 11:
      return {10, 1};
    case 15:
      return {10, 2};
    case 12:
    case 13:
      return {11, 1};
    default:
      return {5, 1};
  }
}

struct Tensor {
  std::uint64_t type = 0;
  std::uint64_t location = 0;
  std::uint64_t elements = 1;
  std::size_t axes = 0;
  std::string wrong;
  bool has_raw = false;
  std::uint64_t raw = 0;                 // bytes
  std::array<std::uint64_t, 12> held{};  // numbers, by field
};

void add_axis(Tensor& tensor, std::uint64_t size, bool& has_zero) {
  if (++tensor.axes > kMaxAxes) {
    tensor.wrong = "it has more than 64 axes";
  } else if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    tensor.wrong = "an axis is negative";
  } else if (size == 0) {
    has_zero = true;
  } else if (tensor.elements > kMaxBits / size) {
    tensor.wrong = "its dims are 2^53 elements or more";
  } else {
    tensor.elements *= size;
  }
}

std::uint64_t numbers_in(const Field& field, std::size_t size) {
  if (field.wire != Wire::bytes) return 1;
  std::uint64_t count = 0;
  if (size != 0) return field.bytes.size() / size;
  return count_varints(field.bytes, count) ? count : 0;
}

Tensor read(std::string_view message) {
  Tensor tensor;
  bool has_zero = false;
  WireReader reader(message);
  Field field;
  while (reader.next(field)) {
    switch (field.number) {
      case 1:
        if (field.wire == Wire::varint) {
          add_axis(tensor, field.value, has_zero);
        } else {
          std::uint64_t size = 0;
          while (take_varint(field.bytes, size)) add_axis(tensor, size, has_zero);
        }
        break;
      case 2:
        tensor.type = field.value;
        break;
      case 4:
        tensor.held[4] += numbers_in(field, 4);
        break;
      case 5:
      case 7:
      case 11:
        tensor.held[field.number] += numbers_in(field, 0);
        break;
      case 6:
        ++tensor.held[6];
        break;
      case 9:
        tensor.has_raw = true;
        tensor.raw = field.bytes.size();
        break;
      case 10:
        tensor.held[10] += numbers_in(field, 8);
        break;
      case 14:
        tensor.location = field.value;
        break;
      default:
        break;
    }
  }
  if (has_zero) tensor.elements = 0;
  return tensor;
}

std::string differs(std::uint64_t held, std::string_view what, std::uint64_t asked) {
  return "it has " + std::to_string(held) + " " + std::string(what) +
         " where its dims and type ask for " + std::to_string(asked);
}

}  // namespace

std::string wrong_with_tensor(std::string_view message) {
  const Tensor tensor = read(message);
  if (tensor.location != 0) return "its data is outside the file";
  if (!tensor.wrong.empty()) return tensor.wrong;
  const std::uint64_t bits = tensor.type < kBits.size() ? kBits[tensor.type] : 0;
  if (bits == 0 && tensor.type != kString) {
    return "its type is " + std::to_string(tensor.type) + ", which is none";
  }
  if (bits != 0 && tensor.elements > kMaxBits / bits) return "its dims are 2^53 bits or more";

  const Place place = place_of(tensor.type);
  std::uint64_t held = 0;
  for (const std::uint64_t count : tensor.held) held += count;
  if (held != tensor.held[place.field]) return "its numbers stand in the field of another type";
  if (tensor.has_raw) {
    if (tensor.type == kString) return "strings stand in its raw_data";
    if (held != 0) return "it has both raw_data and numbers";
    const std::uint64_t asked = (tensor.elements * bits + 7) / 8;
    return tensor.raw == asked ? "" : differs(tensor.raw, "bytes", asked);
  }
  // Elements of less than a byte are packed into bytes, and each byte is a number.
  const std::uint64_t packed = bits != 0 && bits < 8 ? 8 / bits : 1;
  const std::uint64_t asked = (tensor.elements * place.numbers + packed - 1) / packed;
  return held == asked ? "" : differs(held, "elements", asked);
}

}  // namespace edge_runner
