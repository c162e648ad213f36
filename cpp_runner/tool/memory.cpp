#include "tool/memory.hpp"

#include <fstream>
#include <string>

namespace edge_runner::tool {

void reset_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::uint64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  const std::string key = "VmHWM:";
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) return std::stoull(line.substr(key.size())) * 1024;
  }
  return 0;
}

}  // namespace edge_runner::tool
