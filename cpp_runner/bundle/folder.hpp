// A folder that may have been made or changed by anybody: no link is followed and nothing but plain
// files is opened, so it can neither reach outside of itself nor make a reader hang.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bundle/filling_hash.hpp"
#include "edge_runner/bundle.hpp"

namespace edge_runner {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  [[nodiscard]] int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

// What lies in a folder: bytes by file, and the folders.
struct Tree {
  std::map<std::string, std::uint64_t, std::less<>> sizes;
  std::vector<std::string> folders;
};

// All of these throw Failure with the code of docs/bundle-format.md, or cannot_read.

// The bundle's own folder, which the caller named and which may be reached by a link.
[[nodiscard]] Descriptor open_folder(const std::filesystem::path& path);

[[nodiscard]] Tree walk(const Descriptor& root);

// A plain file with one link below `root`, and its size.
struct OpenFile {
  Descriptor descriptor;
  std::uint64_t size;
};
[[nodiscard]] OpenFile open_file(const Descriptor& root, std::string_view name);

// All bytes of a file, and their SHA-256, which may not be done yet. Makes room for what the file
// has, not for what is claimed: a size other than `bytes` is refused first.
struct Content {
  Bytes bytes;
  std::unique_ptr<FillingHash> sha256;  // of `bytes`, so it goes first
};
[[nodiscard]] Content read_file(const Descriptor& root, std::string_view name, std::uint64_t bytes);

[[noreturn]] void refuse_size(std::string_view name, std::uint64_t there, std::uint64_t claimed);

}  // namespace edge_runner
