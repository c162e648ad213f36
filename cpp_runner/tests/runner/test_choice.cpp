// Which artifact is taken, and what is said where none can be.
#include <gtest/gtest.h>

#include <cstdlib>

#include "bundles.hpp"

namespace edge_runner {
namespace {

using test::changed;
using test::opened;
using test::Scratch;

// The artifact that is taken of a bundle whose manifest was changed, or the name of the error.
std::string taken(const std::function<void(nlohmann::json&)>& change, Options options = {}) {
  const Scratch scratch;
  if (options.backend == Backend::automatic) options.backend = Backend::null;  // in every build
  const auto id = choose(opened(changed(scratch, change)), options);
  return id ? *id : std::string(to_string(id.error().code));
}

nlohmann::json& first(nlohmann::json& manifest) { return manifest["artifacts"][0]; }

void fail(nlohmann::json& artifact, nlohmann::json& manifest) {
  artifact["verdict"] = "fail";
  manifest["verdict"] = "fail";
  manifest["allow_failed"] = true;
}

TEST(Choice, TheFirstOfTheBundle) {
  EXPECT_EQ(taken([](auto& manifest) { first(manifest)["made_for"] = "any"; }), "onnx-int8-static");
}

TEST(Choice, NotOneForAnotherCpu) {
  const auto foreign = [](auto& manifest) {
    first(manifest)["made_for"] = "riscv64";
    manifest["artifacts"][1]["made_for"] = "any";
  };
  EXPECT_EQ(taken(foreign), "torchscript-int8-static");
  Options named;
  named.artifact = "onnx-int8-static";
  EXPECT_EQ(taken(foreign, named), "onnx-int8-static");
}

TEST(Choice, NotOneThatFailed) {
  const auto failed = [](auto& manifest) {
    fail(first(manifest), manifest);
    for (auto& artifact : manifest["artifacts"]) artifact["made_for"] = "any";
  };
  EXPECT_EQ(taken(failed), "torchscript-int8-static");
  Options named;
  named.artifact = "onnx-int8-static";
  EXPECT_EQ(taken(failed, named), "no-fitting-artifact");
  named.allow_failed = true;
  EXPECT_EQ(taken(failed, named), "onnx-int8-static");
  Options allowed;
  allowed.allow_failed = true;
  EXPECT_EQ(taken(failed, allowed), "torchscript-int8-static") << "one that passed goes first";
}

TEST(Choice, NoneThatPassed) {
  const auto all_failed = [](auto& manifest) {
    for (auto& artifact : manifest["artifacts"]) fail(artifact, manifest);
  };
  EXPECT_EQ(taken(all_failed), "no-fitting-artifact");
}

TEST(Choice, NamesAreKnownOrRefused) {
  Options options;
  options.artifact = "onnx-fp16";
  const auto id = choose(opened(), options);
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, Code::no_such_artifact);
  EXPECT_NE(id.error().message.find("onnx-fp32"), std::string::npos) << id.error().message;
}

TEST(Choice, ThreadsWithinReason) {
  for (const int threads : {-1, 1025}) {
    Options options;
    options.threads = threads;
    const auto id = choose(opened(), options);
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().code, Code::bad_argument);
  }
}

TEST(Choice, ForeignAndFailedAreWarnedOf) {
  const Scratch scratch;
  const auto folder = changed(scratch, [](auto& manifest) {
    fail(first(manifest), manifest);
    first(manifest)["made_for"] = "riscv64";
  });
  Options options;
  options.backend = Backend::null;
  options.artifact = "onnx-int8-static";
  options.allow_failed = true;
  const auto runner = Runner::open(opened(folder), options);
  ASSERT_TRUE(runner) << runner.error().message;
  ASSERT_EQ(runner->warnings().size(), 2U);
  EXPECT_EQ(runner->warnings()[0], "The verdict of onnx-int8-static is fail.");
  EXPECT_NE(runner->warnings()[1].find("riscv64"), std::string::npos);
}

// The environment is the process's: gtest_discover_tests gives each test a process of its own.
class NoBackend : public testing::Test {
 protected:
  Scratch empty;

  void hide() {
    setenv("EDGE_RUNNER_ONNXRUNTIME", empty.path().c_str(), 1);
    setenv("EDGE_RUNNER_LIBTORCH", empty.path().c_str(), 1);
  }
  void TearDown() override {
    unsetenv("EDGE_RUNNER_ONNXRUNTIME");
    unsetenv("EDGE_RUNNER_LIBTORCH");
  }
};

TEST_F(NoBackend, NamesTheRemedy) {
  hide();
  for (const char* artifact : {"onnx-fp32", "torchscript-fp32"}) {
    Options options;
    options.artifact = artifact;
    const auto runner = Runner::open(opened(), options);
    ASSERT_FALSE(runner);
    EXPECT_EQ(runner.error().code, Code::no_backend);
    const bool built = artifact[0] == 'o' ? EDGE_HAS_ONNXRUNTIME : EDGE_HAS_LIBTORCH;
    const char* remedy = built ? "EDGE_RUNNER_" : "this build has no backend";
    EXPECT_NE(runner.error().message.find(remedy), std::string::npos) << runner.error().message;
  }
  EXPECT_EQ(available_backends(), std::vector{Backend::null});
  EXPECT_EQ(choose(opened(), {}).error().code, Code::no_backend);
}

TEST_F(NoBackend, ABackendThatIsNot) {
  hide();
  std::filesystem::copy(test::golden() / "labels.txt", empty.path() / "libonnxruntime.so.1");
  const auto loaded = load_backend(Backend::onnxruntime);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::no_backend);
}

TEST_F(NoBackend, TheOtherOneIsTaken) {
  if (!EDGE_HAS_ONNXRUNTIME) GTEST_SKIP() << "built without ONNX Runtime";
  setenv("EDGE_RUNNER_LIBTORCH", empty.path().c_str(), 1);
  Options options;
  options.artifact = "onnx-fp32";
  EXPECT_TRUE(Runner::open(opened(), options));
}

TEST(Backends, AnArtifactIsForOne) {
  Options options;
  options.artifact = "onnx-fp32";
  options.backend = Backend::libtorch;
  const auto runner = Runner::open(opened(), options);
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.error().code, Code::no_fitting_artifact);
  EXPECT_EQ(load_backend(Backend::automatic).error().code, Code::bad_argument);
}

}  // namespace
}  // namespace edge_runner
