#include "tool/numbers.hpp"

#include <algorithm>
#include <cmath>

namespace edge_runner::tool {
namespace {

template <typename T>
std::vector<double> converted(const Tensor& tensor) {
  std::vector<double> result;
  result.reserve(tensor.data.size() / sizeof(T));
  for (std::size_t at = 0; at + sizeof(T) <= tensor.data.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, tensor.data.data() + at, sizeof(T));
    result.push_back(static_cast<double>(value));
  }
  return result;
}

// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
double from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const int fraction = bits & 0x3FF;
  double value = 0;
  if (exponent == 0x1F) {
    value = fraction != 0 ? std::nan("") : HUGE_VAL;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

// How many blocks lie before the axis: 1 for the first. Never 0, since it divides.
std::size_t outer_of(const Tensor& tensor, std::size_t axis) {
  std::size_t count = 1;
  for (std::size_t i = 0; i < axis; ++i) count *= static_cast<std::size_t>(tensor.shape[i]);
  return std::max<std::size_t>(count, 1);
}

std::vector<double> halves(const Tensor& tensor) {
  std::vector<double> result;
  for (std::size_t at = 0; at + 2 <= tensor.data.size(); at += 2) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, tensor.data.data() + at, 2);
    result.push_back(from_half(bits));
  }
  return result;
}

}  // namespace

std::vector<double> numbers(const Tensor& tensor) {
  switch (tensor.dtype) {
    case DType::boolean:
    case DType::uint8:
      return converted<std::uint8_t>(tensor);
    case DType::int8:
      return converted<std::int8_t>(tensor);
    case DType::int16:
      return converted<std::int16_t>(tensor);
    case DType::int32:
      return converted<std::int32_t>(tensor);
    case DType::int64:
      return converted<std::int64_t>(tensor);
    case DType::float16:
      return halves(tensor);
    case DType::float32:
      return converted<float>(tensor);
    case DType::float64:
      return converted<double>(tensor);
  }
  return {};
}

std::size_t samples_of(const Tensor& tensor, BatchAxis axis) {
  if (!axis || *axis >= tensor.shape.size()) return 1;
  return static_cast<std::size_t>(std::max<std::int64_t>(tensor.shape[*axis], 0));
}

bool stackable(const Tensor& a, const Tensor& b, BatchAxis axis) {
  if (a.dtype != b.dtype || a.shape.size() != b.shape.size()) return false;
  for (std::size_t i = 0; i < a.shape.size(); ++i) {
    if (i != axis && a.shape[i] != b.shape[i]) return false;
  }
  return axis || a.data == b.data;
}

Tensor stacked(const std::vector<const Tensor*>& tensors, BatchAxis axis) {
  Tensor all = *tensors.front();
  if (!axis || tensors.size() == 1) return all;
  const std::size_t outer = outer_of(all, *axis);
  all.data.clear();
  all.shape[*axis] = 0;
  for (const Tensor* tensor : tensors) all.shape[*axis] += tensor->shape[*axis];
  for (std::size_t i = 0; i < outer; ++i) {
    for (const Tensor* tensor : tensors) {
      const std::size_t chunk = tensor->data.size() / outer;
      const auto begin = tensor->data.begin() + static_cast<std::ptrdiff_t>(i * chunk);
      all.data.insert(all.data.end(), begin, begin + static_cast<std::ptrdiff_t>(chunk));
    }
  }
  return all;
}

Tensor rows(const Tensor& tensor, BatchAxis axis, std::size_t first, std::size_t count) {
  const std::size_t samples = samples_of(tensor, axis);
  if (!axis || samples == 0) return tensor;
  const std::size_t outer = outer_of(tensor, *axis), chunk = tensor.data.size() / outer;
  const std::size_t row = chunk / samples;
  Tensor some{tensor.dtype, tensor.shape, {}};
  some.shape[*axis] = static_cast<std::int64_t>(count);
  for (std::size_t i = 0; i < outer; ++i) {
    const auto begin = tensor.data.begin() + static_cast<std::ptrdiff_t>(i * chunk + first * row);
    some.data.insert(some.data.end(), begin, begin + static_cast<std::ptrdiff_t>(count * row));
  }
  return some;
}

}  // namespace edge_runner::tool
