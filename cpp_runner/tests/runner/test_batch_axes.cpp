// The batch at another axis than the first, or at none: tests/golden/bundle-v2.
#include <gtest/gtest.h>

#include "bundles.hpp"
#include "processes.hpp"
#include "tool/files.hpp"
#include "tool/npy.hpp"
#include "tool/numbers.hpp"

namespace edge_runner::tool {
namespace {

using nlohmann::json;
using test::call;
using test::Scratch;

const std::filesystem::path second = std::filesystem::path(EDGE_GOLDEN) / "bundle-v2";

Tensor floats(Shape shape) {
  std::size_t count = 1;
  for (const std::int64_t axis : shape) count *= static_cast<std::size_t>(axis);
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 17) / 8 - 1;
  return Tensor::of<float>(std::move(shape), values);
}

std::vector<Tensor> gesture(std::int64_t batch, std::int64_t time = 4) {
  return {test::picture(batch), floats({time, batch, 3}), floats({1, batch, 6}), floats({})};
}

TEST(Numbers, AreStackedAndTakenApartAlongAnyAxis) {
  const Tensor a = floats({2, 1, 3}), b = floats({2, 2, 3});
  const Tensor both = stacked({&a, &b}, 1);
  EXPECT_EQ(both.shape, (Shape{2, 3, 3}));
  EXPECT_EQ(rows(both, 1, 0, 1).data, a.data);
  EXPECT_EQ(rows(both, 1, 1, 2).data, b.data);
  EXPECT_EQ(stacked({&a, &a}, 0).shape, (Shape{4, 1, 3}));
  EXPECT_EQ(stacked({&a, &a}, std::nullopt).data, a.data);
  EXPECT_EQ(rows(both, std::nullopt, 1, 1).data, both.data);
  EXPECT_TRUE(stackable(a, b, 1));
  EXPECT_FALSE(stackable(a, b, 0));
  EXPECT_FALSE(stackable(a, floats({2, 1, 4}), std::nullopt));
  EXPECT_TRUE(stackable(a, a, std::nullopt));
}

TEST(BatchAxes, AreReadAndChecked) {
  const Bundle bundle = test::opened(second);
  EXPECT_EQ(bundle.manifest().inputs[1].batch_axis, 1U);
  EXPECT_EQ(bundle.manifest().inputs[3].batch_axis, std::nullopt);
  EXPECT_EQ(test::opened().manifest().inputs[0].batch_axis, 0U) << "what schema 1 implies";
  Options options;
  options.backend = Backend::null;
  const auto runner = Runner::open(bundle, options);
  ASSERT_TRUE(runner) << runner.error().message;
  const auto answers = runner->run(gesture(3));
  ASSERT_TRUE(answers) << answers.error().message;
  EXPECT_EQ((*answers)[0].shape, (Shape{1, 3, 2}));
  EXPECT_EQ((*answers)[2].shape, (Shape{2}));
  auto mixed = gesture(3);
  mixed[2] = floats({1, 2, 6});
  const auto refused = runner->run(mixed);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("state: a batch of 2 beside one of 3"), std::string::npos)
      << refused.error().message;
  mixed[2] = floats({1, 0, 6});
  EXPECT_EQ(runner->run(mixed).error().message, "state: an empty batch; give at least one sample");
}

class BatchAxesRun : public testing::Test {
 protected:
  void SetUp() override {
    if (!EDGE_HAS_ONNXRUNTIME || !EDGE_HAS_LIBTORCH) GTEST_SKIP() << "not both backends";
  }
  Scratch scratch;
  std::string file(const std::string& name, const Tensor& tensor) {
    const auto path = scratch.path() / name;
    EXPECT_TRUE(write_file(path, to_npy(tensor)));
    return path.string();
  }
};

TEST_F(BatchAxesRun, VerifyPassesInEveryBackend) {
  const auto told = call({"verify", second.string(), "--json"});
  EXPECT_EQ(told.code, 0) << told.out << told.err;
  EXPECT_EQ(json::parse(told.out)["rows"].size(), 4U);
}

// Some samples without a batch axis in their files, some of another gain, which no batch shares.
TEST_F(BatchAxesRun, FilesAnswerAloneAsInBatches) {
  std::vector<std::string> arguments = {"run", second.string(), "--artifact", "onnx-fp32",
                                        "--json"};
  for (unsigned i = 0; i < 5; ++i) {
    const std::string n = std::to_string(i);
    Tensor motion = floats({4, 1, 3}), gain = floats({});
    motion.data[3] ^= std::byte{static_cast<unsigned char>(i)};
    if (i % 2 == 0) motion.shape = {4, 3};
    if (i == 3) gain = Tensor::of<float>({}, std::vector<float>{2});
    arguments.insert(arguments.end(),
                     {file("f" + n + ".npy", test::picture(1, i)), file("m" + n + ".npy", motion),
                      file("s" + n + ".npy", floats({1, 1, 6})), file("g" + n + ".npy", gain)});
  }
  const auto single = call(arguments);
  ASSERT_EQ(single.code, 0) << single.err;
  const json one = json::parse(single.out)["samples"];
  ASSERT_EQ(one.size(), 5U);
  arguments.insert(arguments.end(), {"--batch", "4"});
  const json batched = json::parse(call(arguments).out)["samples"];
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t o = 0; o < 3; ++o) {
      const json &a = one[i]["outputs"][o], &b = batched[i]["outputs"][o];
      EXPECT_EQ(a["shape"], b["shape"]);
      for (std::size_t v = 0; v < a["values"].size(); ++v) {
        EXPECT_NEAR(a["values"][v].get<double>(), b["values"][v].get<double>(), 1e-5) << i << o;
      }
    }
  }
}

TEST_F(BatchAxesRun, BenchMakesBatchesOfWhatMayShareOne) {
  const auto told = call({"bench", second.string(), "--artifact", "onnx-fp32", "--runs", "8",
                          "--seconds", "0", "--warm-up", "0", "--batch", "3", "--json"});
  EXPECT_EQ(told.code, 0) << told.err;
}

}  // namespace
}  // namespace edge_runner::tool
