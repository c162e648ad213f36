// The C functions; test_c_header.c compiles their header as C.
#include <gtest/gtest.h>

#include <array>

#include "bundles.hpp"
#include "edge_runner/edge_runner.h"

extern "C" edge_status open_null(const char* folder, edge_runner_t** runner, edge_error* error);

namespace edge_runner {
namespace {

constexpr std::array<std::int64_t, 4> shape = {2, 8, 8, 1};

class CApi : public testing::Test {
 protected:
  edge_error error{};
  edge_runner_t* runner = nullptr;
  std::array<std::uint8_t, 128> pixels{};
  edge_tensor input{EDGE_UINT8, shape.data(), shape.size(), pixels.data(), pixels.size()};

  void SetUp() override {
    ASSERT_EQ(open_null(test::golden().c_str(), &runner, &error), EDGE_OK) << error.message;
  }
  void TearDown() override { edge_free(runner); }
};

TEST_F(CApi, Runs) {
  edge_outputs* outputs = nullptr;
  ASSERT_EQ(edge_run(runner, &input, 1, &outputs, &error), EDGE_OK) << error.message;
  ASSERT_EQ(edge_output_count(runner), 1U);
  const edge_tensor answer = edge_output(outputs, 0);
  EXPECT_EQ(answer.dtype, EDGE_FLOAT32);
  ASSERT_EQ(answer.rank, 2U);
  EXPECT_EQ(answer.shape[0], 2);
  EXPECT_EQ(answer.shape[1], 3);
  EXPECT_EQ(answer.bytes, 24U);
  edge_outputs_free(outputs);
}

TEST_F(CApi, TellsTheSignature) {
  ASSERT_EQ(edge_input_count(runner), 1U);
  const edge_port in = edge_input_port(runner, 0);
  EXPECT_STREQ(in.name, "image");
  EXPECT_EQ(in.dtype, EDGE_UINT8);
  EXPECT_EQ(Shape(in.shape, in.shape + in.rank), (Shape{-1, -1, -1, 1}));
  EXPECT_STREQ(edge_output_port(runner, 0).name, "probabilities");
  EXPECT_NE(std::string(edge_artifact_id(runner)), "");
}

TEST_F(CApi, DescribesFailures) {
  edge_outputs* outputs = nullptr;
  input.bytes = 5;
  EXPECT_EQ(edge_run(runner, &input, 1, &outputs, &error), EDGE_BAD_INPUT);
  EXPECT_EQ(error.status, EDGE_BAD_INPUT);
  EXPECT_NE(std::string(error.message).find("5 bytes given"), std::string::npos);
  EXPECT_EQ(outputs, nullptr);
  EXPECT_EQ(edge_run(runner, &input, 1, &outputs, nullptr), EDGE_BAD_INPUT);
  EXPECT_STREQ(edge_status_name(EDGE_WRONG_HASH), "wrong-hash");
}

TEST_F(CApi, NothingIsDereferencedThatIsNull) {
  edge_outputs* outputs = nullptr;
  EXPECT_EQ(edge_run(nullptr, &input, 1, &outputs, &error), EDGE_BAD_ARGUMENT);
  EXPECT_EQ(edge_run(runner, nullptr, 1, &outputs, &error), EDGE_BAD_ARGUMENT);
  EXPECT_EQ(edge_run(runner, &input, 1, nullptr, &error), EDGE_BAD_ARGUMENT);
  EXPECT_EQ(edge_run(runner, nullptr, 0, &outputs, &error), EDGE_BAD_INPUT);
  input.data = nullptr;
  EXPECT_EQ(edge_run(runner, &input, 1, &outputs, &error), EDGE_BAD_ARGUMENT);
  edge_runner_t* none = nullptr;
  EXPECT_EQ(edge_open(nullptr, nullptr, &none, &error), EDGE_BAD_ARGUMENT);
  edge_close(nullptr);
  edge_free(nullptr);
  edge_outputs_free(nullptr);
}

TEST_F(CApi, ClosedIsClosed) {
  edge_close(runner);
  edge_outputs* outputs = nullptr;
  EXPECT_EQ(edge_run(runner, &input, 1, &outputs, &error), EDGE_CLOSED);
}

TEST(CApiOpen, AFolderThatIsNone) {
  edge_error error{};
  edge_runner_t* runner = nullptr;
  const test::Scratch scratch;
  EXPECT_EQ(edge_open(scratch.path().c_str(), nullptr, &runner, &error), EDGE_NOT_A_BUNDLE);
  EXPECT_EQ(runner, nullptr);
}

}  // namespace
}  // namespace edge_runner
