#include "bundle/sha256.hpp"

#include <array>
#include <string_view>

namespace edge_runner {

// None of the three functions can fail: they give 1 whatever they are given.
Sha256::Sha256() noexcept { SHA256_Init(&context_); }

void Sha256::update(std::span<const std::byte> bytes) noexcept {
  SHA256_Update(&context_, bytes.data(), bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256_Final(digest.data(), &context_);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += digits[byte >> 4U];
    text += digits[byte & 0xfU];
  }
  return text;
}

}  // namespace edge_runner
