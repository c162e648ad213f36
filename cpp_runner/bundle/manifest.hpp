// manifest.json, schema 1: bytes in, types out, or a Failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "edge_runner/bundle.hpp"

namespace edge_runner {

inline constexpr std::size_t kMaxManifest = 1 << 20;

// What docs/bundle-format.md asks of the manifest as a file, of its keys and values, of their
// agreement, and of its digest, in that order.
[[nodiscard]] Manifest parse_manifest(std::span<const std::byte> text);

// Throws Failure, inconsistent or what is more exact, where parts of a manifest contradict others.
void check_consistency(const Manifest& manifest);

// Bytes of a tensor. Throws Failure, tensor_too_large, where its axes, empty ones counted as one,
// make 2^53 bytes or more.
[[nodiscard]] std::uint64_t tensor_bytes(DType dtype, const Shape& shape);

}  // namespace edge_runner
