// Real model files with a few bytes changed, or cut: whatever is said of them, nothing crashes.
// Runs under the sanitizers like every test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "../mutate.hpp"
#include "model_files.hpp"

namespace edge_runner::testing {
namespace {

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path());
  std::sort(names.begin(), names.end());
  return names;
}

// A changed ONNX file may well be one: only its hash tells. How many are taken is no matter here.
TEST(ValidateMutated, OnnxDoesNotCrash) {
  std::mt19937 random(7);
  for (const std::string& name : files_in(EDGE_FUZZ_CORPUS "/validate_onnx")) {
    const std::string file = read_text(name);
    for (int i = 0; i < 3000; ++i) EXPECT_FALSE(onnx_says(test::mutated(file, random)).empty());
  }
}

// Of an archive every byte is compared with another or with what it must be.
TEST(ValidateMutated, TorchScriptIsRefused) {
  std::mt19937 random(7);
  for (const std::string& name : files_in(EDGE_FUZZ_CORPUS "/validate_torchscript")) {
    const std::string file = read_text(name);
    for (int i = 0; i < 3000; ++i) {
      const std::string other = test::mutated(file, random);
      if (other == file) continue;
      EXPECT_NE(torchscript_says(other), "accepted") << name << " " << i;
    }
  }
}

// Behind the CRC: code and pickles that are mutated, in an archive that is right.
TEST(ValidateMutated, InnerRecordsDoNotCrash) {
  std::mt19937 random(7);
  for (const std::string& name : files_in(EDGE_FUZZ_CORPUS "/validate_code")) {
    const std::string code = read_text(name);
    for (int i = 0; i < 1500; ++i) {
      EXPECT_FALSE(torchscript_says(torchscript(test::mutated(code, random))).empty());
    }
  }
  for (const std::string& name : files_in(EDGE_FUZZ_CORPUS "/validate_pickle")) {
    const std::string pickle = read_text(name);
    for (int i = 0; i < 3000; ++i) {
      Zip zip = torchscript("class Net(Module):\n  pass\n");
      data_of(zip, "data.pkl") = test::mutated(pickle, random);
      EXPECT_NE(torchscript_says(zip), "accepted");  // its classes are not there
    }
  }
}

}  // namespace
}  // namespace edge_runner::testing
