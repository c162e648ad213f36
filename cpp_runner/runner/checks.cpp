#include "runner/checks.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "runner/describe.hpp"

namespace edge_runner {
namespace {

// Of an answer of a few dozen MB at most, in the common case of none: no branch in the loop, so
// that the compiler takes as many at a time as the CPU can.
template <typename Bits>
bool any_with_all_of(std::span<const std::byte> data, Bits exponent) {
  const auto* words = reinterpret_cast<const Bits*>(data.data());
  const std::size_t count = data.size() / sizeof(Bits);
  Bits found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found = static_cast<Bits>(found | static_cast<Bits>((words[i] & exponent) == exponent));
  }
  return found != 0;
}

// An IEEE 754 number is NaN or infinite exactly where all bits of its exponent are set.
bool finite(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::float16:
      return !any_with_all_of<std::uint16_t>(tensor.data, 0x7C00);
    case DType::float32:
      return !any_with_all_of<std::uint32_t>(tensor.data, 0x7F800000);
    case DType::float64:
      return !any_with_all_of<std::uint64_t>(tensor.data, 0x7FF0000000000000);
    default:
      return true;
  }
}

// The bytes that a shape takes; nothing if an axis is negative or memory could not hold it.
std::optional<std::size_t> bytes_of(DType dtype, const Shape& shape) {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t axis : shape) {
    if (axis < 0) return std::nullopt;
    const auto size = static_cast<std::size_t>(axis);
    if (size != 0 && bytes > std::numeric_limits<std::size_t>::max() / 2 / size) {
      return std::nullopt;
    }
    bytes *= size;
  }
  return bytes;
}

bool fits(const Port& port, const Tensor& tensor) {
  return tensor.dtype == port.dtype && tensor.shape.size() == port.shape.size() &&
         std::equal(port.shape.begin(), port.shape.end(), tensor.shape.begin(),
                    [](const auto& wanted, auto size) { return wanted.value_or(size) == size; });
}

Error misfit(Code code, const Port& port, const Tensor& tensor, std::string_view who) {
  return {code, port.name + ": " + std::string(who) + " " + describe(tensor.dtype, tensor.shape) +
                    " where the signature has " + describe(port)};
}

Error bad(const Port& port, std::string_view what) {
  return {Code::bad_input, port.name + ": " + std::string(what)};
}

bool only_bools(std::span<const std::byte> data) {
  return std::all_of(data.begin(), data.end(), [](std::byte b) { return b <= std::byte{1}; });
}

Result<Done> check_input(const Port& port, const Tensor& tensor) {
  if (!fits(port, tensor)) return misfit(Code::bad_input, port, tensor, "given");
  const auto bytes = bytes_of(tensor.dtype, tensor.shape);
  if (!bytes || *bytes != tensor.data.size()) {
    return bad(port, std::to_string(tensor.data.size()) + " bytes given, which are not those of " +
                         describe(tensor.dtype, tensor.shape));
  }
  if (port.batch_axis && tensor.shape[*port.batch_axis] == 0) {
    return bad(port, "an empty batch; give at least one sample");
  }
  if (port.kind == "image" && tensor.data.empty()) {
    return bad(port, "an empty picture, " + describe(tensor.dtype, tensor.shape));
  }
  if (tensor.dtype == DType::boolean && !only_bools(tensor.data)) {
    return bad(port, "a bool is a byte of 0 or 1, others were given");
  }
  return Done{};
}

Error wrong_number(Code code, std::string_view what, std::size_t got, std::size_t wanted) {
  return {code, std::to_string(got) + " " + std::string(what) + " where the signature has " +
                    std::to_string(wanted)};
}

// An axis of fixed size has been compared already.
bool counts_samples(const Port& port) { return port.batch_axis && !port.shape[*port.batch_axis]; }

}  // namespace

Result<std::int64_t> check_inputs(std::span<const Port> ports, std::span<const Tensor> tensors) {
  if (tensors.size() != ports.size()) {
    return wrong_number(Code::bad_input, "inputs", tensors.size(), ports.size());
  }
  std::optional<std::int64_t> batch;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto checked = check_input(ports[i], tensors[i]);
    if (!checked) return checked.error();
    if (!counts_samples(ports[i])) continue;
    const std::int64_t rows = tensors[i].shape[*ports[i].batch_axis];
    if (batch.value_or(rows) != rows) {
      return bad(ports[i], "a batch of " + std::to_string(rows) + " beside one of " +
                               std::to_string(*batch) + "; all inputs have the same");
    }
    batch = rows;
  }
  return batch.value_or(1);
}

Result<Done> check_outputs(std::span<const Port> ports, std::span<const Tensor> tensors,
                           std::int64_t batch) {
  if (tensors.size() != ports.size()) {
    return wrong_number(Code::bad_output, "outputs", tensors.size(), ports.size());
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const Port& port = ports[i];
    const Tensor& tensor = tensors[i];
    if (!fits(port, tensor)) return misfit(Code::bad_output, port, tensor, "the model gave");
    if (counts_samples(port) && tensor.shape[*port.batch_axis] != batch) {
      return Error{Code::bad_output, port.name + ": the model gave " +
                                         describe(tensor.dtype, tensor.shape) + " for a batch of " +
                                         std::to_string(batch)};
    }
    if (!finite(tensor)) return Error{Code::not_finite, port.name + " has NaN or infinity"};
  }
  return Done{};
}

}  // namespace edge_runner
