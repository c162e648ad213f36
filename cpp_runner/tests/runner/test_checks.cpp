// Inputs against the signature: nothing that does not fit reaches a backend.
#include <gtest/gtest.h>

#include "bundles.hpp"

namespace edge_runner {
namespace {

using test::changed;
using test::opened;
using test::picture;
using test::Scratch;

Options null_backend() {
  Options options;
  options.backend = Backend::null;
  return options;
}

class Checks : public testing::Test {
 protected:
  Runner runner = *Runner::open(opened(), null_backend());

  void refuses(const std::vector<Tensor>& inputs, const std::string& because) {
    const auto answer = runner.run(inputs);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::bad_input);
    EXPECT_NE(answer.error().message.find(because), std::string::npos) << answer.error().message;
    EXPECT_TRUE(runner.run(std::vector{picture()})) << "a refusal must leave the runner as it was";
  }
};

TEST_F(Checks, NumberOfInputs) {
  refuses({}, "0 inputs where the signature has 1");
  refuses({picture(), picture()}, "2 inputs");
}

TEST_F(Checks, DType) {
  const std::vector<float> pixels(64);
  refuses({Tensor::of<float>({1, 8, 8, 1}, pixels)},
          "image: given float32[1, 8, 8, 1] where the signature has uint8[any, any, any, 1]");
}

TEST_F(Checks, Rank) {
  Tensor tensor = picture();
  tensor.shape = {8, 8, 1};
  refuses({tensor}, "given uint8[8, 8, 1]");
}

TEST_F(Checks, FixedAxis) {
  Tensor tensor = picture();
  tensor.shape = {1, 4, 8, 2};
  refuses({tensor}, "given uint8[1, 4, 8, 2]");
}

TEST_F(Checks, EmptyBatch) { refuses({Tensor{DType::uint8, {0, 8, 8, 1}, {}}}, "empty batch"); }

TEST_F(Checks, EmptyPicture) { refuses({Tensor{DType::uint8, {1, 0, 8, 1}, {}}}, "empty picture"); }

TEST_F(Checks, BytesOfTheShape) {
  Tensor tensor = picture();
  tensor.data.pop_back();
  refuses({tensor}, "63 bytes given");
  tensor.data.resize(65);
  refuses({tensor}, "65 bytes given");
}

TEST_F(Checks, ShapesBeyondMemory) {
  Tensor tensor = picture();
  const std::int64_t huge = std::int64_t{1} << 62;
  tensor.shape = {huge, huge, 4, 1};
  refuses({tensor}, "64 bytes given");
  tensor.shape = {-1, -8, 8, 1};
  refuses({tensor}, "64 bytes given");
}

TEST(ChecksOfSeveral, BatchesAreAlikeAndBoolsAreBools) {
  const Scratch scratch;
  const auto folder = changed(scratch, [](nlohmann::json& manifest) {
    auto second = manifest["inputs"][0];
    second["name"] = "mask";
    second["dtype"] = "bool";
    second["kind"] = "tensor";
    second["shape"] = {nullptr, 2};
    manifest["inputs"].push_back(second);
    manifest["golden"] = nlohmann::json::array();
  });
  const auto runner = Runner::open(opened(folder), null_backend());
  ASSERT_TRUE(runner) << runner.error().message;
  const Tensor two{DType::boolean, {2, 2}, Bytes(4)};
  EXPECT_TRUE(runner->run(std::vector{picture(2), two}));
  const auto differ = runner->run(std::vector{picture(3), two});
  ASSERT_FALSE(differ);
  EXPECT_EQ(differ.error().message, "mask: a batch of 2 beside one of 3; all inputs have the same");
  const Tensor other{DType::boolean, {2, 2}, Bytes(4, std::byte{2})};
  const auto odd = runner->run(std::vector{picture(2), other});
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, Code::bad_input);
}

}  // namespace
}  // namespace edge_runner
