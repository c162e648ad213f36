// Protobuf's wire format, read field by field and never copied.
// https://protobuf.dev/programming-guides/encoding
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace edge_runner {

// The numbers of the format. 3 and 4, groups, are of no file that anyone still writes.
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::varint;
  std::uint64_t value = 0;  // varint, fixed64, fixed32
  std::string_view bytes;   // bytes; of the others the place in the file
};

class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // The next field; false at the end. Throws Failure (unsafe_model) where the bytes are none.
  bool next(Field& field);

 private:
  std::string_view rest_;
};

// Takes a varint off the front; false unless one of at most 64 bits is there.
[[nodiscard]] bool take_varint(std::string_view& bytes, std::uint64_t& value) noexcept;

// How many varints these bytes are; false unless they are nothing else.
[[nodiscard]] bool count_varints(std::string_view bytes, std::uint64_t& count) noexcept;

}  // namespace edge_runner
