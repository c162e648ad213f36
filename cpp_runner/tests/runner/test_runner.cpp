// Real artifacts in real backends.
#include <gtest/gtest.h>

#include <fstream>

#include "bundles.hpp"

namespace edge_runner {
namespace {

using test::opened;
using test::picture;
using test::Scratch;

Options named(const std::string& artifact) {
  Options options;
  options.artifact = artifact;
  return options;
}

class Artifacts : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const Backend backend =
        std::string(GetParam()).starts_with("onnx") ? Backend::onnxruntime : Backend::libtorch;
    if (!test::has(backend)) GTEST_SKIP() << "no " << to_string(backend);
  }
};

INSTANTIATE_TEST_SUITE_P(All, Artifacts,
                         testing::Values("onnx-fp32", "onnx-int8-static", "torchscript-fp32",
                                         "torchscript-int8-static"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Artifacts, AnswersAsTheReference) {
  const Bundle bundle = opened();
  const auto runner = Runner::open(bundle, named(GetParam()));
  ASSERT_TRUE(runner) << runner.error().message;
  const bool exact = std::string(GetParam()).find("fp32") != std::string::npos;
  for (const GoldenSample& sample : bundle.manifest().golden) {
    const Tensor input{sample.inputs[0].dtype, sample.inputs[0].shape,
                       *bundle.read(sample.inputs[0].file)};
    const Tensor expected{sample.outputs[0].dtype, sample.outputs[0].shape,
                          *bundle.read(sample.outputs[0].file)};
    const auto answers = runner->run(std::vector{input});
    ASSERT_TRUE(answers) << answers.error().message;
    ASSERT_EQ(answers->size(), 1U);
    EXPECT_EQ(answers->front().shape, expected.shape);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(answers->front().values<float>()[i], expected.values<float>()[i],
                  exact ? 1e-5 : 0.05);
    }
  }
}

TEST_P(Artifacts, ABatchIsItsSamples) {
  const auto runner = Runner::open(opened(), named(GetParam()));
  ASSERT_TRUE(runner) << runner.error().message;
  const auto all = runner->run(std::vector{picture(5)});
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->front().shape, (Shape{5, 3}));
  Tensor last = picture(5);
  last.data.erase(last.data.begin(), last.data.begin() + 4 * 64);
  last.shape[0] = 1;
  const auto one = runner->run(std::vector{last});
  ASSERT_TRUE(one);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(one->front().values<float>()[i], all->front().values<float>()[12 + i], 1e-5);
  }
}

TEST_P(Artifacts, TheSameForAnyThreadsAndWithoutItsBundle) {
  std::vector<float> answers;
  for (const int threads : {1, 2, 0}) {
    Options options = named(GetParam());
    options.threads = threads;
    options.spinning = threads == 2;
    const auto runner = Runner::open(opened(), options);
    ASSERT_TRUE(runner) << runner.error().message;
    EXPECT_GE(runner->about().threads, std::max(threads, 1));
    EXPECT_FALSE(runner->about().version.empty());
    EXPECT_EQ(runner->artifact().id, GetParam());
    const auto answer = runner->run(std::vector{picture()});
    ASSERT_TRUE(answer);
    answers.push_back(answer->front().values<float>()[0]);
  }
  EXPECT_NEAR(answers[0], answers[1], 1e-6);
  EXPECT_NEAR(answers[0], answers[2], 1e-6);
}

TEST_P(Artifacts, InputsAreOnlyRead) {
  const auto runner = Runner::open(opened(), named(GetParam()));
  ASSERT_TRUE(runner);
  const std::vector<Tensor> inputs = {picture(3)};
  const Bytes before = inputs[0].data;
  ASSERT_TRUE(runner->run(inputs));
  EXPECT_EQ(inputs[0].data, before);
}

TEST_P(Artifacts, AfterClose) {
  auto runner = Runner::open(opened(), named(GetParam()));
  ASSERT_TRUE(runner);
  runner->close();
  runner->close();
  const auto answer = runner->run(std::vector{picture()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::closed);
}

TEST_P(Artifacts, AChangedFileIsRefused) {
  const Scratch scratch;
  const auto folder = test::only(scratch, GetParam());
  const Bundle bundle = opened(folder);
  const auto path = folder / bundle.manifest().artifacts[0].file;
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(1000);
  file.put('\x7F');
  file.close();
  const auto runner = Runner::open(bundle, {});
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.error().code, Code::wrong_hash);
}

// The hash is right and the structure may be: it is the backend's library that must not fall over.
TEST_P(Artifacts, AnotherSignatureIsRefused) {
  const Scratch scratch;
  const auto folder = test::changed(scratch, [](nlohmann::json& manifest) {
    auto second = manifest["inputs"][0];
    second["name"] = "another";
    manifest["inputs"].push_back(second);
    manifest["golden"] = nlohmann::json::array();
  });
  const auto runner = Runner::open(opened(folder), named(GetParam()));
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.error().code, Code::backend_failed);
}

TEST_P(Artifacts, OutputsAreChecked) {
  const Scratch scratch;
  const auto folder = test::changed(scratch, [](nlohmann::json& manifest) {
    manifest["outputs"][0]["shape"] = {nullptr, 4};
    manifest["golden"] = nlohmann::json::array();
  });
  const auto runner = Runner::open(opened(folder), named(GetParam()));
  ASSERT_TRUE(runner) << runner.error().message;
  const auto answer = runner->run(std::vector{picture()});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::bad_output);
  EXPECT_EQ(answer.error().message,
            "probabilities: the model gave float32[1, 3] where the signature has float32[any, 4]");
}

TEST(LibTorch, OneInt8EngineAtATime) {
  if (!test::has(Backend::libtorch)) GTEST_SKIP() << "no LibTorch";
  const Scratch scratch;
  const auto folder = test::changed(scratch, [](nlohmann::json& manifest) {
    for (auto& artifact : manifest["artifacts"]) {
      if (artifact["id"] == "torchscript-int8-static") artifact["made_for"] = "arm64";
    }
  });
  auto one = Runner::open(opened(), named("torchscript-int8-static"));
  ASSERT_TRUE(one) << one.error().message;
  const auto same = Runner::open(opened(), named("torchscript-int8-static"));
  EXPECT_TRUE(same);
  const auto other = Runner::open(opened(folder), named("torchscript-int8-static"));
  if (one->about().engine != "x86") GTEST_SKIP() << "one engine for all here";
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::backend_failed);
  EXPECT_NE(other.error().message.find("close that first"), std::string::npos);
}

TEST(Null, ZerosOfTheRightShape) {
  Options options;
  options.backend = Backend::null;
  const auto runner = Runner::open(opened(), options);
  ASSERT_TRUE(runner) << runner.error().message;
  const auto answer = runner->run(std::vector{picture(4)});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->front().shape, (Shape{4, 3}));
  EXPECT_EQ(answer->front().data, Bytes(48));
}

TEST(Null, MovedRunners) {
  Options options;
  options.backend = Backend::null;
  auto one = Runner::open(opened(), options);
  ASSERT_TRUE(one);
  Runner two = *std::move(one);
  EXPECT_EQ(one->run({}).error().code, Code::closed);
  one->close();
  EXPECT_TRUE(two.run(std::vector{picture()}));
  *one = std::move(two);
  EXPECT_TRUE(one->run(std::vector{picture()}));
}

}  // namespace
}  // namespace edge_runner
