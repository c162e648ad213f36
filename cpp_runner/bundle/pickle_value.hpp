#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace edge_runner {

enum class PickleKind : std::uint8_t {
  none,
  boolean,
  integer,
  real,
  text,
  tuple,
  list,
  dict,
  storage_type,
  scheme,  // how a tensor is quantized
  function,
  type,  // a class: what is called or built makes an object
  storage,
  tensor,
  object,
};

enum class PickleFunction : std::uint8_t {
  none,
  ordered_dict,
  list_of,  // build_intlist and its like
  type_tag,
  complex,
  tensor,
  quantized_tensor,
};

struct PickleValue {
  PickleKind kind = PickleKind::none;
  PickleFunction function = PickleFunction::none;
  bool fresh = false;       // list, dict: not used yet, and may be filled once
  std::uint16_t depth = 0;  // levels of tuples, lists, dicts and objects in it
  std::uint32_t first = 0;  // tuple: where its items begin in PickleValues::items
  std::uint32_t count = 0;  // tuple: its items; tensor: its axes
  std::int64_t number = 0;  // integer; storage_type: bytes of an element; storage, tensor: elements
  std::string_view text{};
};

// Values are numbered as they are made, and are immutable but for lists and dicts, which may be
// filled before anything else is done with them. Their content is not kept.
struct PickleValues {
  std::vector<PickleValue> values;
  std::vector<std::uint32_t> items;

  [[nodiscard]] const PickleValue& at(std::uint32_t id) const { return values[id]; }
  [[nodiscard]] std::span<const std::uint32_t> items_of(const PickleValue& tuple) const {
    return {items.data() + tuple.first, tuple.count};
  }
};

// The tensor that torch._utils' _rebuild_tensor_v2 or _rebuild_qtensor makes of `arguments`; what
// is wrong with them, or "".
[[nodiscard]] std::string rebuild_tensor(const PickleValues& values, const PickleValue& arguments,
                                         bool quantized, PickleValue& tensor);

}  // namespace edge_runner
