// JSON as docs/bundle-format.md allows it: no key twice, no half surrogate pairs, no more than 16
// levels, numbers whose kind is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace edge_runner {

struct Json;
struct JsonMember;
using JsonArray = std::vector<Json>;
using JsonObject = std::vector<JsonMember>;

// An integer is what was written without fraction and exponent.
struct Json {
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, JsonArray, JsonObject>
      value;
};

struct JsonMember {
  std::string key;
  Json value;
};

inline constexpr std::int64_t kMaxInteger = (std::int64_t{1} << 53) - 1;

// Throws Failure with the code of docs/bundle-format.md.
[[nodiscard]] Json parse_json(std::span<const std::byte> text);

// Well-formed UTF-8: no overlong forms, surrogates, or anything beyond U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace edge_runner
