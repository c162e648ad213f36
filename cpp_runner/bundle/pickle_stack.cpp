#include "pickle_stack.hpp"

#include <algorithm>

namespace edge_runner {
namespace {

constexpr std::size_t kMaxValues = 1U << 24U;
constexpr std::uint16_t kMaxDepth = 400;  // what torch destroys by recursion; timm's have about 60

[[noreturn]] void too_many() { refuse_pickle("it has more than 16,777,216 values"); }

[[noreturn]] void nothing_there() { refuse_pickle("it takes a value where there is none"); }

}  // namespace

void PickleStack::push(const PickleValue& value) {
  if (values_.values.size() >= kMaxValues) too_many();
  if (value.depth > kMaxDepth) refuse_pickle("it is nested more than 400 levels deep");
  ids_.push_back(static_cast<std::uint32_t>(values_.values.size()));
  values_.values.push_back(value);
}

void PickleStack::push_container(PickleKind kind) {
  PickleValue value{.kind = kind};
  value.fresh = true;
  value.depth = 1;
  push(value);
}

PickleValue PickleStack::pop() {
  if (ids_.size() <= floor()) nothing_there();
  PickleValue& value = values_.values[ids_.back()];
  ids_.pop_back();
  value.fresh = false;
  return value;
}

// The depth of what will hold everything from there on. A list in it can't be filled any more, or
// its depth would be another.
std::uint16_t PickleStack::enclose(std::size_t from) {
  std::uint16_t depth = 0;
  for (std::size_t i = from; i < ids_.size(); ++i) {
    PickleValue& value = values_.values[ids_[i]];
    value.fresh = false;
    depth = std::max(depth, value.depth);
  }
  return static_cast<std::uint16_t>(depth + 1);
}

void PickleStack::make_tuple_from(std::size_t from) {
  if (values_.items.size() + (ids_.size() - from) > kMaxValues) too_many();
  PickleValue tuple{.kind = PickleKind::tuple};
  tuple.depth = enclose(from);
  tuple.first = static_cast<std::uint32_t>(values_.items.size());
  tuple.count = static_cast<std::uint32_t>(ids_.size() - from);
  values_.items.insert(values_.items.end(), ids_.begin() + static_cast<std::ptrdiff_t>(from),
                       ids_.end());
  ids_.resize(from);
  push(tuple);
}

void PickleStack::make_tuple() { make_tuple_from(take_mark()); }

void PickleStack::make_tuple(std::size_t count) {
  if (ids_.size() - floor() < count) nothing_there();
  make_tuple_from(ids_.size() - count);
}

std::size_t PickleStack::take_mark() {
  if (marks_.empty()) refuse_pickle("it takes a mark where there is none");
  const std::size_t mark = marks_.back();
  marks_.pop_back();
  return mark;
}

void PickleStack::fill(PickleKind kind) {
  const std::size_t mark = take_mark();
  if (mark <= floor()) nothing_there();
  PickleValue& container = values_.values[ids_[mark - 1]];
  if (container.kind != kind) refuse_pickle("it fills something that is not a list or dict");
  if (kind == PickleKind::dict && (ids_.size() - mark) % 2 != 0) {
    refuse_pickle("a dict has a key without a value");
  }
  if (!container.fresh) refuse_pickle("a list or dict is filled after it was used");
  container.depth = enclose(mark);
  container.fresh = false;
  if (container.depth > kMaxDepth) refuse_pickle("it is nested more than 400 levels deep");
  ids_.resize(mark);
}

// torch numbers what it keeps one by one; another number would make its table as large.
void PickleStack::keep(std::uint64_t index) {
  if (index != kept_.size())
    refuse_pickle("it stores a value under a number that is not the next one");
  if (ids_.size() <= floor()) nothing_there();
  kept_.push_back(ids_.back());
}

void PickleStack::recall(std::uint64_t index) {
  if (index >= kept_.size()) refuse_pickle("it reads back a value that it has not stored");
  if (ids_.size() >= kMaxValues) too_many();
  ids_.push_back(kept_[static_cast<std::size_t>(index)]);
  values_.values[ids_.back()].fresh = false;
}

}  // namespace edge_runner
