#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pickle_value.hpp"

namespace edge_runner {

// Thrown where a pickle asks for what is refused; who reads it knows the place.
struct PickleFault {
  std::string why;
};

[[noreturn]] inline void refuse_pickle(std::string why) { throw PickleFault{std::move(why)}; }

// The stack, the marks and the table of kept values of an unpickler. Throws PickleFault where one
// would take what is not there, or where values are too many or nested too deep.
class PickleStack {
 public:
  void push(const PickleValue& value);
  void push_container(PickleKind kind);  // an empty list or dict
  void push_mark() { marks_.push_back(ids_.size()); }

  // The value on top, taken off.
  PickleValue pop();

  void make_tuple();                   // of everything above the last mark
  void make_tuple(std::size_t count);  // of the last values
  void fill(PickleKind kind);  // the list or dict below the last mark, with what is above it

  void keep(std::uint64_t index);  // the value on top, under the next number
  void recall(std::uint64_t index);

  [[nodiscard]] const PickleValues& values() const { return values_; }
  [[nodiscard]] const PickleValue& item(const PickleValue& tuple, std::size_t index) const {
    return values_.at(values_.items_of(tuple)[index]);
  }

  // Whether one value is left and no mark.
  [[nodiscard]] bool is_one() const { return ids_.size() == 1 && marks_.empty(); }

 private:
  [[nodiscard]] std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::size_t take_mark();
  std::uint16_t enclose(std::size_t from);
  void make_tuple_from(std::size_t from);

  PickleValues values_;
  std::vector<std::uint32_t> ids_;
  std::vector<std::size_t> marks_;
  std::vector<std::uint32_t> kept_;
};

}  // namespace edge_runner
