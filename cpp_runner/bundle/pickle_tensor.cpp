#include <limits>

#include "pickle_value.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxAxes = 64;
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kPerTensor = 0;

bool is(const PickleValue& value, PickleKind kind) { return value.kind == kind; }

// Reads a tuple of axes: integers, none negative.
bool read_axes(const PickleValues& values, const PickleValue& tuple,
               std::vector<std::int64_t>& axes) {
  if (!is(tuple, PickleKind::tuple) || tuple.count > kMaxAxes) return false;
  for (const std::uint32_t id : values.items_of(tuple)) {
    const PickleValue& item = values.at(id);
    if (!is(item, PickleKind::integer) || item.number < 0) return false;
    axes.push_back(item.number);
  }
  return true;
}

// One more than the place of the last element that these axes reach; false if it is beyond 2^63.
bool extent(std::int64_t offset, const std::vector<std::int64_t>& sizes,
            const std::vector<std::int64_t>& strides, std::int64_t& elements, std::int64_t& end) {
  elements = 1;
  for (const std::int64_t size : sizes) {
    if (size == 0) elements = 0;
  }
  end = offset;
  if (elements == 0) return true;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (elements > kMax / sizes[i]) return false;
    elements *= sizes[i];
    const std::int64_t steps = sizes[i] - 1;
    if (steps != 0 && strides[i] > (kMax - end - 1) / steps) return false;
    end += steps * strides[i];
  }
  if (end == kMax) return false;
  ++end;
  return true;
}

// (scheme, scale, zero point), or (scheme, scales, zero points, axis).
bool fits_quantizer(const PickleValues& values, const PickleValue& tuple,
                    const std::vector<std::int64_t>& sizes) {
  if (!is(tuple, PickleKind::tuple) || tuple.count < 3) return false;
  const auto ids = values.items_of(tuple);
  if (!is(values.at(ids[0]), PickleKind::scheme)) return false;
  const PickleValue& scale = values.at(ids[1]);
  const PickleValue& zero = values.at(ids[2]);
  if (values.at(ids[0]).number == kPerTensor) {
    return tuple.count == 3 && is(scale, PickleKind::real) && is(zero, PickleKind::integer);
  }
  if (tuple.count != 4 || !is(scale, PickleKind::tensor) || !is(zero, PickleKind::tensor)) {
    return false;
  }
  const PickleValue& axis = values.at(ids[3]);
  if (!is(axis, PickleKind::integer) || axis.number < 0 ||
      static_cast<std::uint64_t>(axis.number) >= sizes.size()) {
    return false;
  }
  const std::int64_t channels = sizes[static_cast<std::size_t>(axis.number)];
  return scale.number == channels && zero.number == channels;
}

}  // namespace

std::string rebuild_tensor(const PickleValues& values, const PickleValue& arguments, bool quantized,
                           PickleValue& tensor) {
  const std::uint32_t expected = quantized ? 7 : 6;
  if (arguments.count != expected) return "a tensor is rebuilt from too few or too many values";
  const auto ids = values.items_of(arguments);
  const PickleValue& storage = values.at(ids[0]);
  const PickleValue& offset = values.at(ids[1]);
  if (!is(storage, PickleKind::storage) || !is(offset, PickleKind::integer) || offset.number < 0) {
    return "a tensor is rebuilt from something other than a storage and an offset";
  }
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  if (!read_axes(values, values.at(ids[2]), sizes) ||
      !read_axes(values, values.at(ids[3]), strides) || sizes.size() != strides.size()) {
    return "a tensor's sizes or strides are malformed";
  }
  if (quantized && !fits_quantizer(values, values.at(ids[4]), sizes)) {
    return "a quantized tensor's scales or zero points do not fit it";
  }
  if (!is(values.at(ids[expected - 2]), PickleKind::boolean) ||
      !is(values.at(ids[expected - 1]), PickleKind::none)) {
    return "a tensor has hooks, or does not say whether it needs gradients";
  }
  std::int64_t end = 0;
  if (!extent(offset.number, sizes, strides, tensor.number, end) || end > storage.number) {
    return "a tensor reaches beyond its storage of " + std::to_string(storage.number) + " elements";
  }
  tensor.kind = PickleKind::tensor;
  tensor.count = static_cast<std::uint32_t>(sizes.size());
  return "";
}

}  // namespace edge_runner
