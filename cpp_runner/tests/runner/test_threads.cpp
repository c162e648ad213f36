// Many threads on one Runner, and `close` among them. Also built with ThreadSanitizer, which then
// sees the null backend.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "bundles.hpp"

namespace edge_runner {
namespace {

using test::opened;
using test::picture;

constexpr unsigned crowd = 8;

class Threads : public testing::TestWithParam<std::pair<Backend, const char*>> {
 protected:
  void SetUp() override {
    if (!test::has(GetParam().first)) GTEST_SKIP() << "no " << to_string(GetParam().first);
  }
  static Result<Runner> open() {
    Options options;
    options.backend = GetParam().first;
    options.artifact = GetParam().second;
    return Runner::open(opened(), options);
  }
};

INSTANTIATE_TEST_SUITE_P(All, Threads,
                         testing::Values(std::pair{Backend::null, "onnx-fp32"},
                                         std::pair{Backend::onnxruntime, "onnx-fp32"},
                                         std::pair{Backend::onnxruntime, "onnx-int8-static"},
                                         std::pair{Backend::libtorch, "torchscript-fp32"},
                                         std::pair{Backend::libtorch, "torchscript-int8-static"}),
                         [](const auto& test) {
                           std::string name = std::string(to_string(test.param.first)) + "_" +
                                              std::string(test.param.second);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// For half a minute with one artifact of each backend, a moment with the others.
TEST_P(Threads, TheSameAnswersAsOne) {
  const auto runner = open();
  ASSERT_TRUE(runner) << runner.error().message;
  std::vector<Bytes> expected;
  for (unsigned i = 0; i < crowd; ++i) {
    expected.push_back(runner->run(std::vector{picture(1 + i % 3, i)})->front().data);
  }
  using Clock = std::chrono::steady_clock;
  const bool long_one = std::string(GetParam().second).find("fp32") != std::string::npos;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(long_one ? 30 : 3);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < crowd; ++i) {
    threads.emplace_back([&, i] {
      while (Clock::now() < end) {
        const auto answer = runner->run(std::vector{picture(1 + i % 3, i)});
        if (!answer || answer->front().data != expected[i]) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(Threads, CloseWaitsForRuns) {
  auto runner = open();
  ASSERT_TRUE(runner) << runner.error().message;
  std::atomic<int> answered = 0, odd = 0;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < crowd; ++i) {
    threads.emplace_back([&, i] {
      while (true) {
        const auto answer = runner->run(std::vector{picture(2, i)});
        if (!answer) {
          if (answer.error().code != Code::closed) ++odd;
          return;
        }
        ++answered;
      }
    });
  }
  while (answered < 20) std::this_thread::yield();
  runner->close();
  const auto late = runner->run(std::vector{picture()});
  EXPECT_EQ(late.error().code, Code::closed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(odd, 0);
}

}  // namespace
}  // namespace edge_runner
