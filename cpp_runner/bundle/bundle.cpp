#include "edge_runner/bundle.hpp"

#include <algorithm>
#include <utility>

#include "bundle/failure.hpp"
#include "bundle/folder.hpp"
#include "bundle/json.hpp"
#include "bundle/manifest.hpp"
#include "bundle/names.hpp"

namespace edge_runner {

struct Bundle::State {
  std::filesystem::path path;
  Descriptor root;
  Manifest manifest;
};

namespace {

// Every file of the bundle but the manifest.
std::vector<Listed> listed_in(const Manifest& manifest) {
  std::vector<Listed> all;
  all.reserve(manifest.artifacts.size() + manifest.files.size());
  for (const Artifact& artifact : manifest.artifacts) {
    all.push_back({artifact.file, artifact.bytes, artifact.sha256});
  }
  all.insert(all.end(), manifest.files.begin(), manifest.files.end());
  return all;
}

std::vector<std::string> names_of(const Tree& tree) {
  std::vector<std::string> names;
  for (const auto& [name, size] : tree.sizes) names.push_back(name);
  return names;
}

Manifest read_manifest_file(const Descriptor& root, const Tree& tree,
                            const std::filesystem::path& path) {
  if (!tree.sizes.contains(kManifest)) {
    fail(Code::not_a_bundle, path.filename().string() + " is no bundle: it has no manifest.json.");
  }
  const std::uint64_t size = open_file(root, kManifest).size;
  if (size > kMaxManifest) {
    fail(Code::manifest_too_large,
         "manifest.json has " + std::to_string(size) + " bytes; at most 1 MiB is read.");
  }
  return parse_manifest(read_file(root, kManifest, size).bytes);
}

// The folder against the list, without reading a file.
void compare(const Manifest& manifest, const Tree& tree) {
  const std::vector<Listed> all = listed_in(manifest);
  const auto is_listed = [&](const auto& fits) {
    return std::any_of(all.begin(), all.end(), [&](const Listed& one) { return fits(one.file); });
  };
  for (const std::string& folder : tree.folders) {
    if (is_listed([&](const std::string& file) { return file == folder; })) {
      fail(Code::not_a_file, folder + " is a folder where a plain file belongs.");
    }
  }
  for (const auto& [name, size] : tree.sizes) {
    const std::string& there = name;
    if (there != kManifest && !is_listed([&](const std::string& file) { return file == there; })) {
      fail(Code::unlisted_file, there + " is not listed in the manifest.");
    }
  }
  for (const Listed& one : all) {
    const auto found = tree.sizes.find(one.file);
    if (found == tree.sizes.end()) {
      fail(Code::missing_file, one.file + " is listed in the manifest but is not there.");
    }
    if (found->second != one.bytes) refuse_size(one.file, found->second, one.bytes);
  }
  for (const std::string& folder : tree.folders) {
    if (!is_listed([&](const std::string& file) { return file.starts_with(folder + "/"); })) {
      fail(Code::empty_folder, folder + " is a folder without a file.");
    }
  }
}

void check_hash(const Content& content, const Listed& listed) {
  if (content.sha256->hex() != listed.sha256) {
    fail(Code::wrong_hash,
         listed.file + " is damaged: its SHA-256 is not the one in the manifest.");
  }
}

Bytes read_checked(const Descriptor& root, const Listed& listed) {
  Content content = read_file(root, listed.file, listed.bytes);
  check_hash(content, listed);
  return std::move(content.bytes);
}

Listed find_listed(const Manifest& manifest, std::string_view file) {
  for (const Listed& listed : listed_in(manifest)) {
    if (listed.file == file) return listed;
  }
  fail(Code::bad_argument, "The bundle lists no file " + edge_runner::quoted(file) + ".");
}

std::vector<std::string> lines_of(std::string_view text, const std::string& file) {
  if (!is_utf8(text) || (!text.empty() && text.back() != '\n')) {
    fail(Code::bad_value, file + " is not UTF-8 with a line feed behind each label.");
  }
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

}  // namespace

Bundle::Bundle(std::shared_ptr<const State> state) noexcept : state_(std::move(state)) {}

Result<Bundle> Bundle::open(const std::filesystem::path& folder) noexcept {
  return guarded([&] {
    Descriptor root = open_folder(folder);
    const Tree tree = walk(root);
    check_names(names_of(tree));
    Manifest manifest = read_manifest_file(root, tree, folder);
    compare(manifest, tree);
    return Bundle(
        std::make_shared<const State>(State{folder, std::move(root), std::move(manifest)}));
  });
}

Result<Manifest> Bundle::parse(std::span<const std::byte> manifest) noexcept {
  return guarded([&] { return parse_manifest(manifest); });
}

const Manifest& Bundle::manifest() const noexcept { return state_->manifest; }

const std::filesystem::path& Bundle::folder() const noexcept { return state_->path; }

const Artifact* Bundle::artifact(std::string_view id) const noexcept {
  const auto& artifacts = state_->manifest.artifacts;
  const auto found = std::find_if(artifacts.begin(), artifacts.end(),
                                  [&](const Artifact& one) { return one.id == id; });
  return found == artifacts.end() ? nullptr : &*found;
}

Result<Bytes> Bundle::read(std::string_view file) const noexcept {
  return guarded([&] { return read_checked(state_->root, find_listed(state_->manifest, file)); });
}

Result<Bytes> Bundle::read_model(const Artifact& artifact) const noexcept {
  return guarded([&] {
    const Listed listed = find_listed(state_->manifest, artifact.file);
    Content content = read_file(state_->root, listed.file, listed.bytes);
    // The hash of a large file goes on meanwhile. What is damaged is said to be damaged, whatever
    // the look at it gave.
    const auto validated = artifact.format == Format::onnx ? validate_onnx(content.bytes)
                                                           : validate_torchscript(content.bytes);
    check_hash(content, listed);
    if (!validated) fail(validated.error().code, artifact.file + ": " + validated.error().message);
    return std::move(content.bytes);
  });
}

Result<Done> Bundle::check_files() const noexcept {
  return guarded([&] {
    for (const Listed& listed : listed_in(state_->manifest)) {
      static_cast<void>(read_checked(state_->root, listed));
    }
    return Done{};
  });
}

Result<std::vector<std::string>> Bundle::labels(const Port& output) const noexcept {
  if (!output.labels) return std::vector<std::string>{};
  const auto bytes = read(*output.labels);
  if (!bytes) return bytes.error();
  return guarded([&] {
    return lines_of({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, *output.labels);
  });
}

}  // namespace edge_runner
