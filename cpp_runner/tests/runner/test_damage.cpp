// Damaged bundles from end to end: opened, loaded and asked as a program would, file after file.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <random>

#include "../mutate.hpp"
#include "bundles.hpp"

namespace edge_runner {
namespace {

namespace fs = std::filesystem;

using Answers = std::vector<Bytes>;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// What an artifact of the bundle in that folder says to the golden inputs of `asked`; nothing where
// it is refused.
std::optional<Answers> answers(const fs::path& folder, const std::string& id, const Bundle& asked) {
  const auto bundle = Bundle::open(folder);
  if (!bundle) return std::nullopt;
  Options options;
  options.artifact = id;
  const auto runner = Runner::open(*bundle, options);
  if (!runner) return std::nullopt;
  Answers found;
  for (const GoldenSample& sample : asked.manifest().golden) {
    const GoldenTensor& input = sample.inputs[0];
    auto answer =
        runner->run(std::vector{Tensor{input.dtype, input.shape, *asked.read(input.file)}});
    if (!answer) return std::nullopt;
    found.push_back(std::move(answer->front().data));
  }
  return found;
}

bool runs_here(const Artifact& artifact) {
  return test::has(artifact.format == Format::onnx ? Backend::onnxruntime : Backend::libtorch);
}

// One file of the bundle is changed, cut, exchanged for another one, or gone. Whoever opens the
// bundle then and asks an artifact gets the answer that he got before, or an error.
TEST(Damage, NothingIsAcceptedThatAnswersDifferently) {
  const test::Scratch scratch;
  const Bundle whole = test::opened();
  std::vector<std::string> ids;
  std::map<std::string, Answers> right;
  std::map<std::string, std::string> id_of;  // file: artifact
  for (const Artifact& artifact : whole.manifest().artifacts) {
    if (!runs_here(artifact)) continue;
    ids.push_back(artifact.id);
    id_of[artifact.file] = artifact.id;
    right[artifact.id] = *answers(test::golden(), artifact.id, whole);
  }
  if (ids.empty()) GTEST_SKIP() << "no backend";
  const fs::path folder = scratch.path() / "damaged.bundle";
  fs::copy(test::golden(), folder, fs::copy_options::recursive);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> contents;
  std::vector<std::size_t> large;  // the manifest and the artifacts
  for (std::size_t at = 0; at < files.size(); ++at) {
    contents.push_back(read(files[at]));
    if (contents[at].size() > 6000) large.push_back(at);
  }

  std::mt19937 random(11);
  int same = 0;
  for (int i = 0; i < test::rounds(10000); ++i) {
    const std::size_t at = i % 4 == 0 ? random() % files.size() : large[random() % large.size()];
    switch (random() % 8) {
      case 0:
        write(files[at], contents[random() % files.size()]);
        break;
      case 1:
        fs::remove(files[at]);
        break;
      default:
        write(files[at], test::mutated(contents[at], random));
    }
    if (read(files[at]) != contents[at] || !fs::exists(files[at])) {
      const auto bundle = Bundle::open(folder);
      EXPECT_FALSE(bundle && bundle->check_files()) << "change " << i << " of " << files[at];
      const auto own = id_of.find(fs::relative(files[at], folder).string());
      const bool asked = own != id_of.end() && random() % 8 != 0;
      const std::string& id = asked ? own->second : ids[random() % ids.size()];
      if (const auto found = answers(folder, id, whole)) {  // another file than it needs
        ++same;
        EXPECT_EQ(*found, right[id]) << "change " << i << " of " << files[at];
      }
    }
    write(files[at], contents[at]);
  }
  EXPECT_GT(same, 0);  // otherwise nothing was compared
  EXPECT_TRUE(test::opened(folder).check_files());
}

// Somebody changed a model and made sizes, hashes and the digest right again: what the structural
// look lets through reaches the backend, and nothing crashes.
class Resealed : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(All, Resealed,
                         testing::Values("onnx-fp32", "onnx-int8-static", "torchscript-fp32"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Resealed, DoesNotCrash) {
  const Bundle whole = test::opened();
  const Artifact& artifact = *whole.artifact(GetParam());
  if (!runs_here(artifact)) GTEST_SKIP() << "no backend";
  const std::string model = read(test::golden() / artifact.file);
  std::mt19937 random(5);
  int answered = 0;
  for (int i = 0; i < test::rounds(1500); ++i) {
    const test::Scratch scratch;
    const fs::path folder = test::changed(scratch, [&](nlohmann::json&) {
      write(scratch.path() / "changed.bundle" / artifact.file, test::mutated(model, random));
    });
    answered += answers(folder, artifact.id, whole).has_value() ? 1 : 0;
  }
  if (artifact.format == Format::torchscript) {
    EXPECT_EQ(answered, 0);  // every byte of the archive has a checksum
  } else {
    EXPECT_GT(answered, 0);  // with other weights, for one
  }
}

}  // namespace
}  // namespace edge_runner
