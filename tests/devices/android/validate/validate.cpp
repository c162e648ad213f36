// Says of each file of a folder, by name: "accepted", or "refused".  look FOLDER
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "edge_runner/bundle.hpp"

int main(int, char** arguments) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    const bool is_onnx = file.extension() == ".onnx";
    const auto found =
        is_onnx ? edge_runner::validate_onnx(bytes) : edge_runner::validate_torchscript(bytes);
    std::cout << file.filename().string() << (found ? " accepted\n" : " refused\n");
  }
}
