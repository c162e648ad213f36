// The rules for golden samples, on the answers that all readers are held to.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "bundles.hpp"
#include "tool/golden.hpp"
#include "tool/numbers.hpp"

namespace edge_runner::tool {
namespace {

using nlohmann::json;

DType dtype_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(DType::float64); ++i) {
    if (to_string(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  ADD_FAILURE() << name;
  return DType::float32;
}

double value_of(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number()) return value.get<double>();
  const double huge = std::numeric_limits<double>::infinity();
  if (value == "nan" || value == "NaN") return std::nan("");
  return value.get<std::string>()[0] == '-' ? -huge : huge;
}

template <typename T>
Tensor typed(DType dtype, const json& tensor) {
  Tensor result{dtype, tensor["shape"].get<Shape>(), {}};
  for (const json& value : tensor["values"]) {
    const T number = static_cast<T>(value_of(value));
    const auto bytes = std::as_bytes(std::span(&number, 1));
    result.data.insert(result.data.end(), bytes.begin(), bytes.end());
  }
  return result;
}

Tensor tensor_of(const json& tensor, DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return typed<std::uint8_t>(dtype, tensor);
    case DType::int32:
      return typed<std::int32_t>(dtype, tensor);
    case DType::int64:
      return typed<std::int64_t>(dtype, tensor);
    case DType::float64:
      return typed<double>(dtype, tensor);
    default:
      return typed<float>(dtype, tensor);
  }
}

std::optional<double> optional(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

void expect_near(const std::optional<double>& found, const json& expected, const char* what) {
  ASSERT_EQ(found.has_value(), !expected.is_null()) << what;
  if (!found) return;
  EXPECT_NEAR(*found, expected.get<double>(), 1e-9 * (1 + std::abs(*found))) << what;
}

void check_case(const json& test) {
  Port port;
  port.name = "output";
  port.dtype = dtype_named(test["output"]["dtype"]);
  port.kind = test["output"]["kind"];
  port.threshold = optional(test["output"]["threshold"]);
  const json& asked = test["tolerances"];
  const Tolerance tolerance{optional(asked["max_abs"]),     optional(asked["max_rel"]),
                            optional(asked["min_sqnr_db"]), optional(asked["min_top1"]),
                            optional(asked["max_drop"]),    optional(asked["tie"])};
  const DType given =
      test.contains("answers_dtype") ? dtype_named(test["answers_dtype"]) : port.dtype;
  OutputCheck check(port, tolerance);
  for (std::size_t i = 0; i < test["expected"].size(); ++i) {
    check.add(tensor_of(test["expected"][i], port.dtype), tensor_of(test["answers"][i], given));
  }
  const Figures figures = check.result();
  EXPECT_EQ(figures.reasons.empty(), test["verdict"] == "pass");
  expect_near(figures.max_abs, test["max_abs"], "max_abs");
  expect_near(figures.max_rel, test["max_rel"], "max_rel");
  expect_near(figures.sqnr_db, test["sqnr_db"], "sqnr_db");
  expect_near(figures.top1, test["top1"], "top1");
}

TEST(Golden, TheCasesOfAllReaders) {
  std::ifstream file(std::string(EDGE_GOLDEN) + "/checks.json");
  const json cases = json::parse(file);
  ASSERT_GE(cases.size(), 20U);
  for (const json& test : cases) {
    SCOPED_TRACE(test["name"].get<std::string>());
    check_case(test);
  }
}

TEST(Numbers, Halves) {
  // 1, -2, 65504 (the largest), 2^-24 (the smallest), infinity
  const std::vector<std::uint16_t> bits = {0x3C00, 0xC000, 0x7BFF, 0x0001, 0x7C00};
  Tensor tensor{DType::float16, {5}, {}};
  const auto bytes = std::as_bytes(std::span(bits));
  tensor.data.assign(bytes.begin(), bytes.end());
  const auto found = numbers(tensor);
  EXPECT_EQ(found, (std::vector<double>{1, -2, 65504, std::ldexp(1.0, -24),
                                        std::numeric_limits<double>::infinity()}));
}

TEST(Numbers, RowsOfAStack) {
  const Tensor one = test::picture(1, 1), two = test::picture(2, 2);
  const Tensor all = stacked({&one, &two}, 0);
  EXPECT_EQ(all.shape, (Shape{3, 8, 8, 1}));
  EXPECT_EQ(rows(all, 0, 0, 1).data, one.data);
  EXPECT_EQ(rows(all, 0, 1, 2).data, two.data);
}

}  // namespace
}  // namespace edge_runner::tool
