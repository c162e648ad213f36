#include "tool/npy_header.hpp"

#include <algorithm>
#include <cstdint>

namespace edge_runner::tool {
namespace {

constexpr std::size_t most_digits = 15;
constexpr std::size_t most_axes = 64;  // of NumPy's arrays

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// From left to right, without recursion. Each `take` moves behind what it asks for, if that is
// next.
class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<NpyHeader> run() {
    if (!take('{')) return std::nullopt;
    bool more = true;
    while (more && !take('}')) {
      const auto key = take_string();
      if (!key || !take(':') || !take_value(*key)) return std::nullopt;
      more = take(',');
      if (!more && !take('}')) return std::nullopt;
    }
    skip_blanks();
    const bool whole = descr_ && order_ && shape_ && rest_.empty();
    if (!whole) return std::nullopt;
    return NpyHeader{std::string(*descr_), *order_, *std::move(shape_)};
  }

 private:
  void skip_blanks() {
    const std::size_t blanks = rest_.find_first_not_of(" \t\r\n\f");
    rest_.remove_prefix(std::min(blanks, rest_.size()));
  }

  bool take(char wanted) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool take_word(std::string_view word) {
    skip_blanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::optional<std::string_view> take_string() {
    const char quote = take('\'') ? '\'' : '"';
    if (quote == '"' && !take('"')) return std::nullopt;
    const std::size_t end = rest_.find(quote);
    const std::string_view text = rest_.substr(0, end);
    if (end == std::string_view::npos || text.find('\\') != std::string_view::npos) {
      return std::nullopt;
    }
    rest_.remove_prefix(end + 1);
    return text;
  }

  // False if the key is another or was there before, too.
  bool take_value(std::string_view key) {
    if (key == "descr" && !descr_) return (descr_ = take_string()).has_value();
    if (key == "fortran_order" && !order_) return (order_ = take_bool()).has_value();
    if (key == "shape" && !shape_) return (shape_ = take_tuple()).has_value();
    return false;
  }

  std::optional<bool> take_bool() {
    if (take_word("True")) return true;
    if (take_word("False")) return false;
    return std::nullopt;
  }

  // (), (3,) and (3, 4): (3) is a number.
  std::optional<Shape> take_tuple() {
    if (!take('(')) return std::nullopt;
    Shape shape;
    bool comma = true;
    while (!take(')')) {
      const auto size = take_size();
      if (!comma || !size || shape.size() == most_axes) return std::nullopt;
      shape.push_back(*size);
      comma = take(',');
    }
    if (shape.size() == 1 && !comma) return std::nullopt;
    return shape;
  }

  std::optional<std::int64_t> take_size() {
    skip_blanks();
    std::int64_t size = 0;
    std::size_t digits = 0;
    for (; digits < rest_.size() && is_digit(rest_[digits]); ++digits) {
      if (digits == most_digits) return std::nullopt;
      size = 10 * size + (rest_[digits] - '0');
    }
    if (digits == 0) return std::nullopt;
    rest_.remove_prefix(digits);
    return size;
  }

  std::string_view rest_;
  std::optional<std::string_view> descr_;
  std::optional<bool> order_;
  std::optional<Shape> shape_;
};

}  // namespace

std::optional<NpyHeader> parse_npy_header(std::string_view text) { return Parser(text).run(); }

}  // namespace edge_runner::tool
