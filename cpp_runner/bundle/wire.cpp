#include "wire.hpp"

#include "failure.hpp"

namespace edge_runner {
namespace {

constexpr std::uint64_t kMaxFieldNumber = (std::uint64_t{1} << 29U) - 1;

[[noreturn]] void no_protobuf(const std::string& why) {
  fail(Code::unsafe_model, "The file is no ONNX model: " + why + ".");
}

}  // namespace

bool take_varint(std::string_view& bytes, std::uint64_t& value) noexcept {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    if (shift == 63 && byte > 1) return false;  // the tenth byte has one bit left
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool count_varints(std::string_view bytes, std::uint64_t& count) noexcept {
  std::uint64_t value = 0;
  for (count = 0; !bytes.empty(); ++count) {
    if (!take_varint(bytes, value)) return false;
  }
  return true;
}

bool WireReader::next(Field& field) {
  if (rest_.empty()) return false;
  std::uint64_t tag = 0;
  if (!take_varint(rest_, tag)) no_protobuf("a tag is cut off");
  const std::uint64_t number = tag >> 3U;
  if (number == 0 || number > kMaxFieldNumber) no_protobuf("a field's number is out of range");
  field.number = static_cast<std::uint32_t>(number);
  field.value = 0;
  field.bytes = rest_;
  std::uint64_t length = 0;
  switch (tag & 7U) {
    case 0:
      field.wire = Wire::varint;
      if (!take_varint(rest_, field.value)) no_protobuf("a number is cut off");
      return true;
    case 1:
      field.wire = Wire::fixed64;
      length = 8;
      break;
    case 2:
      field.wire = Wire::bytes;
      if (!take_varint(rest_, length)) no_protobuf("a length is cut off");
      break;
    case 5:
      field.wire = Wire::fixed32;
      length = 4;
      break;
    default:
      no_protobuf("a field has a wire type that is none");
  }
  if (length > rest_.size()) no_protobuf("a field is longer than what holds it");
  field.bytes = rest_.substr(0, static_cast<std::size_t>(length));
  rest_.remove_prefix(static_cast<std::size_t>(length));
  return true;
}

}  // namespace edge_runner
