// Hand-made model files, right and wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edge_runner/bundle.hpp"

namespace edge_runner::testing {

// Fields of a protobuf message.
std::string number(std::uint32_t field, std::uint64_t value);
std::string bytes(std::uint32_t field, std::string_view value);

// An ONNX model with one Identity; `graph` and `model` are further fields of those messages.
std::string onnx_model(const std::string& graph = "", const std::string& model = "");
std::string onnx_node(const std::string& fields);    // a graph's field: a node
std::string onnx_tensor(const std::string& fields);  // a graph's field: an initializer

// A zip archive as torch writes it; what is set otherwise makes it wrong.
struct ZipRecord {
  std::string name, data;
  std::uint32_t crc = 0;     // added to the right one
  std::uint32_t behind = 0;  // added to the size behind the data
  std::uint16_t method = 0;
  std::string local_name{};  // where another one stands in the record's own header
  std::string padding = "ZZ";
};

struct Zip {
  std::vector<ZipRecord> records;
  std::string before_directory, comment;

  [[nodiscard]] std::string bytes() const;
};

// The records of a module without parameters, whose only code is this text.
Zip torchscript(std::string_view code);
std::string& data_of(Zip& zip, std::string_view name);

std::string read_text(const std::string& path);

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The message of the refusal, or "accepted".
std::string onnx_says(std::string_view file);
std::string torchscript_says(std::string_view file);
std::string torchscript_says(const Zip& zip);

}  // namespace edge_runner::testing
