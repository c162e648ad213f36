#include "tool/numbers.hpp"

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

Tensor stacked(const std::vector<const Tensor*>& tensors) {
  Tensor all = *tensors.front();
  for (std::size_t i = 1; i < tensors.size(); ++i) {
    const Bytes& data = tensors[i]->data;
    all.data.insert(all.data.end(), data.begin(), data.end());
    if (!all.shape.empty()) all.shape[0] += tensors[i]->shape[0];
  }
  return all;
}

Tensor rows(const Tensor& tensor, std::size_t first, std::size_t count) {
  if (tensor.shape.empty()) return tensor;
  const std::size_t row = tensor.data.size() / static_cast<std::size_t>(tensor.shape[0]);
  const auto* begin = tensor.data.data() + first * row;
  Tensor some{tensor.dtype, tensor.shape, Bytes(begin, begin + count * row)};
  some.shape[0] = static_cast<std::int64_t>(count);
  return some;
}

}  // namespace edge_runner::tool
