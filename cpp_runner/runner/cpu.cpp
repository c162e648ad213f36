#include "runner/cpu.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

namespace edge_runner {

std::string_view this_cpu() noexcept {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "other";
#endif
}

bool is_vnni(std::string_view flag) noexcept { return flag.find("vnni") != std::string_view::npos; }

bool has_vnni() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("flags")) return is_vnni(line);
  }
  return false;
}

int cores() noexcept {
  const unsigned known = std::thread::hardware_concurrency();
  return std::clamp(static_cast<int>(known), 1, most_threads);
}

}  // namespace edge_runner
