#include "bundles.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

namespace edge_runner::test {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string sha256(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", digest[i]);
    hex += two.data();
  }
  return hex;
}

void seal(nlohmann::json& listed, const fs::path& folder) {
  for (auto& entry : listed) {
    const std::string content = read(folder / entry.at("file").get<std::string>());
    entry["bytes"] = content.size();
    entry["sha256"] = sha256(content);
  }
}

}  // namespace

fs::path golden() { return fs::path(EDGE_GOLDEN) / "bundle-v1"; }

Scratch::Scratch() {
  static std::atomic<int> count = 0;
  path_ = fs::temp_directory_path() /
          ("edge runner " + std::to_string(getpid()) + "-" + std::to_string(count++));
  fs::create_directories(path_);
}

Scratch::~Scratch() { fs::remove_all(path_); }

fs::path changed(const Scratch& scratch, const std::function<void(nlohmann::json&)>& change) {
  const fs::path folder = scratch.path() / "changed.bundle";
  fs::remove_all(folder);
  fs::copy(golden(), folder, fs::copy_options::recursive);
  auto manifest = nlohmann::json::parse(read(folder / "manifest.json"));
  change(manifest);
  seal(manifest["artifacts"], folder);
  seal(manifest["files"], folder);
  const std::string zeros(64, '0');
  manifest["digest"] = zeros;
  std::string text = manifest.dump(1);
  text.replace(text.find(zeros), zeros.size(), sha256(text));
  std::ofstream(folder / "manifest.json", std::ios::binary) << text;
  return folder;
}

fs::path only(const Scratch& scratch, const std::string& id) {
  return changed(scratch, [&](nlohmann::json& manifest) {
    const fs::path folder = scratch.path() / "changed.bundle";
    nlohmann::json kept = nlohmann::json::array();
    for (const auto& artifact : manifest["artifacts"]) {
      if (artifact["id"] == id) kept.push_back(artifact);
      else fs::remove(folder / artifact["file"].get<std::string>());
    }
    manifest["artifacts"] = kept;
  });
}

Bundle opened(const fs::path& folder) {
  auto bundle = Bundle::open(folder);
  if (!bundle) {
    ADD_FAILURE() << bundle.error().message;
    std::abort();
  }
  return *std::move(bundle);
}

Tensor picture(std::int64_t batch, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(batch) * 64);
  std::generate(pixels.begin(), pixels.end(),
                [&] { return static_cast<std::uint8_t>(random() & 0xFF); });
  return Tensor::of<std::uint8_t>({batch, 8, 8, 1}, pixels);
}

bool has(Backend backend) {
  const auto found = available_backends();
  return std::find(found.begin(), found.end(), backend) != found.end();
}

}  // namespace edge_runner::test
