// What both bare programs share: an input from a file, the loop, and what they print.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace bare {

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

inline std::vector<char> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// MODEL INPUT uint8|float32 SHAPE SECONDS, the shape as 1,224,224,3.
struct Arguments {
  explicit Arguments(char** argv)
      : model(argv[1]),
        input(read(argv[2])),
        bytes(std::string(argv[3]) == "uint8"),
        seconds(std::stod(argv[5])) {
    std::stringstream axes(argv[4]);
    for (std::string axis; std::getline(axes, axis, ',');) shape.push_back(std::stoll(axis));
  }

  std::string model;
  std::vector<char> input;
  bool bytes;  // uint8; else float32
  std::vector<std::int64_t> shape;
  double seconds;
};

inline std::uint64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

// The same loop as `edge-runner bench` has.
template <typename Run>
void measure(double load_ms, double seconds, const Run& run) {
  const auto loop = [&](std::size_t runs, double limit) {
    std::vector<double> latencies;
    double total = 0;
    while (latencies.size() < runs || total < limit * 1e3) {
      const auto start = Clock::now();
      run();
      latencies.push_back(ms_since(start));
      total += latencies.back();
    }
    return latencies;
  };
  loop(10, 0.5);
  std::vector<double> latencies = loop(64, seconds);
  std::sort(latencies.begin(), latencies.end());
  std::printf("{\"load_ms\": %.6f, \"p50_ms\": %.6f, \"peak_bytes\": %llu}\n", load_ms,
              latencies[(latencies.size() - 1) / 2], static_cast<unsigned long long>(peak_bytes()));
}

}  // namespace bare
