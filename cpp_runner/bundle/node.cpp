#include "bundle/node.hpp"

#include <algorithm>

#include "bundle/failure.hpp"
#include "bundle/names.hpp"

namespace edge_runner {
namespace {

std::string below(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

bool is_alphanumeric(char letter) noexcept {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

bool is_control(char letter) noexcept {
  const auto code = static_cast<unsigned char>(letter);
  return code < 0x20 || code == 0x7f;
}

}  // namespace

void Node::refuse(const std::string& why) const {
  fail(Code::bad_value, "manifest.json: " + (path_.empty() ? "" : path_ + ": ") + why + ".");
}

void Node::has_exactly(const std::vector<std::string_view>& keys) const {
  const auto* object = std::get_if<JsonObject>(&json_->value);
  if (object == nullptr) refuse("not an object");
  const auto has = [&](std::string_view key) {
    return std::any_of(object->begin(), object->end(),
                       [&](const auto& member) { return member.key == key; });
  };
  for (const std::string_view key : keys) {
    if (!has(key)) {
      fail(Code::missing_key,
           "manifest.json lacks the key " + edge_runner::quoted(below(path_, key)) + ".");
    }
  }
  for (const auto& [key, value] : *object) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      fail(Code::unknown_key,
           "manifest.json has the unknown key " + edge_runner::quoted(below(path_, key)) + ".");
    }
  }
}

Node Node::operator[](std::string_view key) const {
  for (const auto& [name, value] : std::get<JsonObject>(json_->value)) {
    if (name == key) return {value, below(path_, key)};
  }
  refuse("the key " + edge_runner::quoted(key) + " is missing");
}

std::vector<std::pair<std::string, Node>> Node::members() const {
  const auto* object = std::get_if<JsonObject>(&json_->value);
  if (object == nullptr) refuse("not an object");
  std::vector<std::pair<std::string, Node>> members;
  members.reserve(object->size());
  for (const auto& [key, value] : *object) {
    // A key may be anything: it is shown only as `quoted` has it.
    members.emplace_back(key, Node(value, below(path_, edge_runner::quoted(key))));
  }
  return members;
}

std::vector<Node> Node::items() const {
  const auto* array = std::get_if<JsonArray>(&json_->value);
  if (array == nullptr) refuse("not an array");
  std::vector<Node> items;
  items.reserve(array->size());
  for (const Json& item : *array)
    items.emplace_back(item, below(path_, std::to_string(items.size())));
  return items;
}

bool Node::is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(json_->value); }

bool Node::boolean() const {
  const auto* value = std::get_if<bool>(&json_->value);
  if (value == nullptr) refuse("neither true nor false");
  return *value;
}

std::uint64_t Node::integer(std::int64_t least, std::int64_t most) const {
  const auto* value = std::get_if<std::int64_t>(&json_->value);
  if (value == nullptr || *value < least || *value > most) {
    refuse("not an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return static_cast<std::uint64_t>(*value);
}

double Node::number() const {
  if (const auto* value = std::get_if<std::int64_t>(&json_->value)) {
    return static_cast<double>(*value);
  }
  const auto* value = std::get_if<double>(&json_->value);
  if (value == nullptr) refuse("not a number");
  return *value;
}

double Node::positive() const {
  const double value = number();
  if (!(value > 0)) refuse("not above 0");
  return value;
}

double Node::not_negative() const {
  const double value = number();
  if (!(value >= 0)) refuse("negative");
  return value;
}

double Node::share() const {
  const double value = number();
  if (!(value >= 0 && value <= 1)) refuse("not between 0 and 1");
  return value;
}

const std::string& Node::string() const {
  const auto* value = std::get_if<std::string>(&json_->value);
  if (value == nullptr) refuse("not a string");
  return *value;
}

std::string Node::text() const {
  const std::string& value = string();
  if (std::any_of(value.begin(), value.end(), [](char c) { return c != '\n' && is_control(c); })) {
    refuse("control characters are not allowed");
  }
  return value;
}

std::string Node::line() const {
  const std::string& value = string();
  if (std::any_of(value.begin(), value.end(), is_control)) {
    refuse("control characters and line feeds are not allowed");
  }
  return value;
}

std::string Node::name() const {
  std::string value = line();
  if (value.empty()) refuse("empty");
  return value;
}

std::string Node::identifier() const {
  const std::string& value = string();
  const auto fits = [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
  if (value.empty() || value.size() > 64 || !is_alphanumeric(value.front()) ||
      !std::all_of(value.begin(), value.end(), fits)) {
    refuse(edge_runner::quoted(value) + " is not an identifier");
  }
  return value;
}

std::string Node::hash() const {
  const std::string& value = string();
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (value.size() != 64 || !std::all_of(value.begin(), value.end(), is_digit)) {
    refuse("not 64 hexadecimal digits");
  }
  return value;
}

std::string Node::file() const {
  const std::string& value = string();
  check_name(value);
  return value;
}

std::size_t Node::one_of(std::initializer_list<std::string_view> words) const {
  const std::string& value = string();
  const auto* found = std::find(words.begin(), words.end(), value);
  if (found == words.end()) {
    std::string known;
    for (const std::string_view word : words) known += " " + std::string(word);
    refuse(edge_runner::quoted(value) + " is not one of" + known);
  }
  return static_cast<std::size_t>(found - words.begin());
}

}  // namespace edge_runner
