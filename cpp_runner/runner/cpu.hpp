// The CPU, as far as the choice of an artifact depends on it.
#pragma once

#include <string_view>

namespace edge_runner {

inline constexpr int most_threads = 1024;

// As `made_for` has it: "x86_64", "arm64", else "other".
[[nodiscard]] std::string_view this_cpu() noexcept;

// Whether an x86 CPU adds up uint8 × int8 products in 32 bits. False where the system does not
// tell.
[[nodiscard]] bool has_vnni();
[[nodiscard]] bool is_vnni(std::string_view flag) noexcept;

// Cores that this process may use, at least 1.
[[nodiscard]] int cores() noexcept;

}  // namespace edge_runner
