// A value of the manifest, and where it stands. None of these converts what is there: it is of the
// kind that docs/bundle-format.md asks for, or a Failure with the code of that page is thrown.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bundle/json.hpp"

namespace edge_runner {

class Node {
 public:
  Node(const Json& json, std::string path) : json_(&json), path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& why) const;  // bad_value

  // An object with these keys and no others.
  void has_exactly(const std::vector<std::string_view>& keys) const;
  // A key of an object that has it.
  [[nodiscard]] Node operator[](std::string_view key) const;
  [[nodiscard]] std::vector<std::pair<std::string, Node>> members() const;
  [[nodiscard]] std::vector<Node> items() const;

  [[nodiscard]] bool is_null() const noexcept;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::uint64_t integer(std::int64_t least = 0,
                                      std::int64_t most = kMaxInteger) const;
  [[nodiscard]] double number() const;
  [[nodiscard]] double positive() const;
  [[nodiscard]] double not_negative() const;
  [[nodiscard]] double share() const;  // 0 to 1

  [[nodiscard]] std::string text() const;  // line feeds are allowed
  [[nodiscard]] std::string line() const;
  [[nodiscard]] std::string name() const;  // a line that is not empty
  [[nodiscard]] std::string identifier() const;
  [[nodiscard]] std::string hash() const;
  [[nodiscard]] std::string file() const;
  // The place of the text in the list.
  [[nodiscard]] std::size_t one_of(std::initializer_list<std::string_view> words) const;

  // What `read` makes of it, nothing where it is null.
  template <typename Read>
  [[nodiscard]] auto optional(Read read) const -> std::optional<decltype((this->*read)())> {
    if (is_null()) return std::nullopt;
    return (this->*read)();
  }

  // What `read` makes of each item.
  template <typename Read>
  [[nodiscard]] auto each(Read read) const {
    std::vector<decltype(read(*this))> values;
    for (const Node& item : items()) values.push_back(read(item));
    return values;
  }

 private:
  [[nodiscard]] const std::string& string() const;

  const Json* json_;
  std::string path_;  // such as artifacts.0.file
};

}  // namespace edge_runner
