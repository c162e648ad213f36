// Names of files in a bundle: the same on every system, never outside of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace edge_runner {

inline constexpr std::string_view kManifest = "manifest.json";
inline constexpr std::size_t kMaxFiles = 1024;  // folders included

// Throws Failure unless the name is a portable path relative to the bundle.
void check_name(std::string_view name);

// Throws Failure if two of these names, or of the folders on their way, differ in case alone.
void check_names(const std::vector<std::string>& names);

}  // namespace edge_runner
