// A thousand times opened, asked and closed: nothing is left behind. Under LeakSanitizer no memory
// of ours; without, the process does not grow, so that nothing of a backend's is left either.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "bundles.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EDGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define EDGE_SANITIZED 1
#endif
#endif

namespace edge_runner {
namespace {

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

class Lifetime : public testing::TestWithParam<std::pair<Backend, const char*>> {
 protected:
  static void open_ask_close(int times) {
    Options options;
    options.backend = GetParam().first;
    options.artifact = GetParam().second;
    for (int i = 0; i < times; ++i) {
      const auto bundle = Bundle::open(test::golden());
      ASSERT_TRUE(bundle) << bundle.error().message;
      auto runner = Runner::open(*bundle, options);
      ASSERT_TRUE(runner) << runner.error().message;
      ASSERT_TRUE(runner->run(std::vector{test::picture()}));
      if (i % 2 == 0) runner->close();  // the destructor does it otherwise
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, Lifetime,
                         testing::Values(std::pair{Backend::null, "onnx-fp32"},
                                         std::pair{Backend::onnxruntime, "onnx-fp32"},
                                         std::pair{Backend::libtorch, "torchscript-fp32"}),
                         [](const auto& test) { return std::string(to_string(test.param.first)); });

TEST_P(Lifetime, ManyTimesLeaveNothing) {
  if (!test::has(GetParam().first)) GTEST_SKIP() << "no " << to_string(GetParam().first);
  open_ask_close(50);  // allocators take their time to settle
  const std::size_t files = open_files();
  [[maybe_unused]] const std::size_t before = resident_bytes();
#ifdef EDGE_SANITIZED
  open_ask_close(100);  // a sanitizer sees a leak the first time
#else
  open_ask_close(1000);
#endif
  EXPECT_EQ(open_files(), files);
#ifndef EDGE_SANITIZED  // a sanitizer keeps what was freed
  const std::size_t after = resident_bytes();
  // A model has 6 kB or more: 1,000 of them that stayed would be seen.
  EXPECT_LT(after, before + 2'000'000) << "grown by " << after - before << " bytes";
#endif
}

}  // namespace
}  // namespace edge_runner
