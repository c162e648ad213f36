#pragma once

// What replaced these functions in OpenSSL 3 reads the system's configuration when it is first
// used: 1 ms and 2 MB for every program that opens a bundle, and nothing that a hash needs.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <cstddef>
#include <span>
#include <string>

namespace edge_runner {

// SHA-256 by libcrypto, which uses the CPU's instructions for it.
class Sha256 {
 public:
  Sha256() noexcept;
  void update(std::span<const std::byte> bytes) noexcept;
  [[nodiscard]] std::string hex();  // 64 digits in lower case; ends the computation

 private:
  SHA256_CTX context_;
};

}  // namespace edge_runner
