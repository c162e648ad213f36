// onnx.txt, as questions: the messages of an ONNX file, and what it may use.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace edge_runner {

enum class Message : std::uint8_t {
  none,
  model,
  opset,
  entry,  // StringStringEntryProto
  graph,
  node,
  attribute,
  tensor,
  annotation,
  value,
  type,
  tensor_type,
  shape,
  dimension,
  sequence_type,
  map_type,
  optional_type,
};

// What a field holds. `refused` is a field of the format that no file for this runner needs.
enum class Kind : std::uint8_t {
  number,
  float32,
  text,
  message,
  numbers,
  floats,
  doubles,
  refused
};

struct Rule {
  std::uint32_t field = 0;
  std::string_view name;
  Kind kind = Kind::number;
  bool repeated = false;
  Message message = Message::none;
};

// Whether a file may import that domain.
[[nodiscard]] bool is_known_domain(std::string_view name);

// Whether com.microsoft's operator of that name computes, and does nothing else.
[[nodiscard]] bool is_allowed_of_microsoft(std::string_view name);

// The fields of a message; empty for `none`.
[[nodiscard]] std::span<const Rule> rules_of(Message message) noexcept;

[[nodiscard]] std::string_view name_of(Message message) noexcept;

}  // namespace edge_runner
