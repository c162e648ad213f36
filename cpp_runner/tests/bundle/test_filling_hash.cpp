// A buffer is hashed while it is filled: the same digest as in one go, with a thread and without.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bundle/filling_hash.hpp"

namespace edge_runner::testing {
namespace {

std::vector<std::byte> bytes_of(std::size_t size) {
  std::vector<std::byte> bytes(size);
  unsigned state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return bytes;
}

std::string in_one_go(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

// Copies `from` into a buffer piece by piece, as a file is read.
std::string while_filling(std::span<const std::byte> from, std::size_t piece) {
  std::vector<std::byte> buffer(from.size());
  FillingHash hash(buffer);
  for (std::size_t done = 0; done < from.size();) {
    const std::size_t size = std::min(piece, from.size() - done);
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(done), size,
                buffer.begin() + static_cast<std::ptrdiff_t>(done));
    done += size;
    hash.filled(done);
  }
  return hash.hex();
}

TEST(FillingHash, KnowsTheStandardsExample) {
  const std::string text = "abc";  // FIPS 180-2, B.1
  EXPECT_EQ(while_filling(std::as_bytes(std::span(text)), 1),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(FillingHash, GivesTheDigestOfTheWhole) {
  for (const std::size_t size : {0U, 1U, 65536U, (1U << 20U) - 1, 1U << 20U, (5U << 20U) + 13}) {
    const auto bytes = bytes_of(size);
    for (const std::size_t piece : {std::size_t{4099}, std::size_t{1} << 18U, size + 1}) {
      EXPECT_EQ(while_filling(bytes, piece), in_one_go(bytes)) << size << " by " << piece;
    }
  }
}

TEST(FillingHash, EndsWithABufferThatIsNeverFilled) {
  const std::vector<std::byte> buffer(2U << 20U);
  for (int i = 0; i < 100; ++i) {
    FillingHash hash(buffer);
    if (i % 2 == 1) hash.filled(buffer.size() / 2);
  }
}

}  // namespace
}  // namespace edge_runner::testing
