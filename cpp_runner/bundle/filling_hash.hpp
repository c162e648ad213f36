#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <string>
#include <thread>

#include "bundle/sha256.hpp"

namespace edge_runner {

// SHA-256 of a buffer while it is being filled: for large ones in a thread of its own, so that it
// goes on while the next piece is read, and while the caller looks at what was read.
class FillingHash {
 public:
  // `buffer` must stay where it is for as long as this lives.
  explicit FillingHash(std::span<const std::byte> buffer);
  FillingHash(const FillingHash&) = delete;
  FillingHash& operator=(const FillingHash&) = delete;
  ~FillingHash();  // whether or not all was filled

  // The first `bytes` of the buffer are there and will not change any more; never fewer than
  // before.
  void filled(std::size_t bytes) noexcept;

  // 64 digits in lower case. Once, when all is filled; waits for the thread.
  [[nodiscard]] std::string hex();

 private:
  void follow() noexcept;
  void hash_up_to(std::size_t bytes) noexcept;

  std::span<const std::byte> buffer_;
  Sha256 hash_;
  std::size_t hashed_ = 0;
  std::atomic<std::size_t> filled_ = 0;
  std::thread thread_;  // not joinable where the caller's thread hashes
};

}  // namespace edge_runner
