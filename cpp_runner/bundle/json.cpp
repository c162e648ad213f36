#include "bundle/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "bundle/failure.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxLevels = 16;
constexpr int kOutOfRange = 406;  // nlohmann's number for a number beyond a double

[[noreturn]] void not_json(const std::string& why) {
  fail(Code::not_json, "manifest.json is not JSON: " + why + ".");
}

// Cannot be noexcept: it makes strings and vectors. Depth is counted, nothing recurses.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }

  bool number_integer(number_integer_t value) override {
    // Only what begins with a minus comes here, so 0 was -0.
    if (value < -kMaxInteger || value == 0) beyond(std::to_string(value));
    return add(value);
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(kMaxInteger)) beyond(std::to_string(value));
    return add(static_cast<std::int64_t>(value));
  }

  bool number_float(number_float_t value, const string_t& text) override {
    if (text.find_first_of(".eE") == string_t::npos) beyond(text.substr(0, 32));
    return add(value);
  }

  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(JsonObject{}); }
  bool start_array(std::size_t) override { return open(JsonArray{}); }

  bool key(string_t& value) override {
    if (open_.size() <= kMaxLevels) keys_.push_back(std::move(value));
    return true;
  }

  bool end_object() override {
    if (levels_ <= kMaxLevels) check_distinct(std::get<JsonObject>(open_.back().value));
    return close();
  }

  bool end_array() override { return close(); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    if (error.id == kOutOfRange) {
      fail(Code::bad_value, "manifest.json: the number that ends at byte " +
                                std::to_string(position) + " is not finite.");
    }
    not_json("byte " + std::to_string(position));
  }

  Json take() {
    if (too_deep_) {
      fail(Code::nested_too_deep, "manifest.json is nested more than 16 levels deep.");
    }
    return std::move(root_);
  }

 private:
  [[noreturn]] static void beyond(const std::string& digits) {
    fail(Code::bad_value, "manifest.json: " + digits + " is not an integer of at most 2^53 - 1.");
  }

  static void check_distinct(const JsonObject& object) {
    std::vector<std::string_view> keys;
    keys.reserve(object.size());
    for (const auto& [key, value] : object) keys.emplace_back(key);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      fail(Code::duplicate_key,
           "manifest.json has the key " + quoted(*twice) + " twice in one object.");
    }
  }

  template <typename Value>
  bool add(Value&& value) {
    if (levels_ <= kMaxLevels) place(Json{std::forward<Value>(value)});
    return true;
  }

  template <typename Container>
  bool open(Container&& empty) {
    if (++levels_ > kMaxLevels) {
      too_deep_ = true;
    } else {
      open_.push_back(Json{std::forward<Container>(empty)});
    }
    return true;
  }

  bool close() {
    if (levels_-- > kMaxLevels) return true;
    Json finished = std::move(open_.back());
    open_.pop_back();
    place(std::move(finished));
    return true;
  }

  void place(Json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* array = std::get_if<JsonArray>(&open_.back().value)) {
      array->push_back(std::move(value));
    } else {
      std::get<JsonObject>(open_.back().value)
          .push_back({std::move(keys_.back()), std::move(value)});
      keys_.pop_back();
    }
  }

  Json root_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  std::size_t levels_ = 0;
  bool too_deep_ = false;
};

// Bytes of the character that begins here, 0 if none does. RFC 3629, table of section 4.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xbf; };
  const unsigned first = byte(0);
  if (first <= 0x7f) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool shortest = first != 0xe0 || byte(1) >= 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return tail(1) && tail(2) && shortest && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool shortest = first != 0xf0 || byte(1) >= 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return tail(1) && tail(2) && tail(3) && shortest && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Json parse_json(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_utf8(text)) fail(Code::not_utf8, "manifest.json is not UTF-8.");
  // The parser takes the first for nothing and the second for the end.
  if (text.starts_with("\xEF\xBB\xBF")) not_json("it begins with a byte order mark");
  if (text.find('\0') != std::string_view::npos) not_json("it has a zero byte");
  Builder builder;
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace edge_runner
