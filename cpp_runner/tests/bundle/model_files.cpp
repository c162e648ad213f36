#include "model_files.hpp"

#include <zlib.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace edge_runner::testing {
namespace {

std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7U) text += static_cast<char>((value & 0x7fU) | 0x80U);
  return text + static_cast<char>(value);
}

std::string little(std::uint64_t value, unsigned size) {
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += static_cast<char>(i < 8 ? (value >> (8 * i)) & 0xffU : 0);
  }
  return text;
}

std::uint32_t crc_of(const ZipRecord& record) {
  return static_cast<std::uint32_t>(
             crc32_z(0, reinterpret_cast<const Bytef*>(record.data.data()), record.data.size())) +
         record.crc;
}

std::string shown(const Result<Done>& result) {
  if (result) return "accepted";
  if (result.error().code != Code::unsafe_model) return std::string(to_string(result.error().code));
  return result.error().message;
}

std::span<const std::byte> as_span(std::string_view file) {
  return std::as_bytes(std::span(file.data(), file.size()));
}

}  // namespace

std::string number(std::uint32_t field, std::uint64_t value) {
  return varint(std::uint64_t{field} << 3U) + varint(value);
}

std::string bytes(std::uint32_t field, std::string_view value) {
  return varint(std::uint64_t{field} << 3U | 2U) + varint(value.size()) + std::string(value);
}

std::string onnx_node(const std::string& fields) { return bytes(1, fields); }
std::string onnx_tensor(const std::string& fields) { return bytes(5, fields); }

std::string onnx_model(const std::string& graph, const std::string& model) {
  const std::string node = onnx_node(bytes(1, "x") + bytes(2, "y") + bytes(4, "Identity"));
  return number(1, 8) + bytes(8, bytes(1, "") + number(2, 18)) +
         bytes(7, node + bytes(2, "main") + graph) + model;
}

std::string Zip::bytes() const {
  std::string file;
  std::string directory;
  for (const ZipRecord& record : records) {
    const std::string full = "net/" + record.name;
    const std::string local = record.local_name.empty() ? full : "net/" + record.local_name;
    const std::string what =
        little(record.data.empty() ? 0x800 : 0x808, 2) + little(record.method, 2) + little(0, 4);
    const std::uint64_t size = record.data.size();
    const std::uint32_t crc = crc_of(record);
    directory += "PK\x01\x02" + little(0, 4) + what + little(crc, 4) + little(size, 4) +
                 little(size, 4) + little(full.size(), 2) + little(0, 12) + little(file.size(), 4) +
                 full;
    file += "PK\x03\x04" + little(0, 2) + what + little(0, 12) + little(local.size(), 2) +
            little(record.padding.size() + 4, 2) + local + "FB" + little(record.padding.size(), 2) +
            record.padding + record.data;
    if (!record.data.empty()) {
      file += "PK\x07\x08" + little(crc, 4) + little(size + record.behind, 4) +
              little(size + record.behind, 4);
    }
  }
  file += before_directory;
  const std::uint64_t start = file.size();
  file += directory;
  const std::uint64_t end = file.size();
  const std::uint64_t count = records.size();
  file += "PK\x06\x06" + little(44, 8) + little(0x2d031e, 4) + little(0, 8) + little(count, 8) +
          little(count, 8) + little(directory.size(), 8) + little(start, 8);
  file += "PK\x06\x07" + little(0, 4) + little(end, 8) + little(1, 4);
  return file + "PK\x05\x06" + little(0, 4) + little(count, 2) + little(count, 2) +
         little(directory.size(), 4) + little(start, 4) + little(comment.size(), 2) + comment;
}

Zip torchscript(std::string_view code) {
  using namespace std::string_literals;
  Zip zip;
  zip.records = {{"byteorder", "little"},
                 {"code/__torch__.py", std::string(code)},
                 {"constants.pkl", "\x80\x02)."},
                 {"data.pkl", "\x80\x02"s + "c__torch__\nNet\n)\x81}(ub."},
                 {"version", "3\n"}};
  return zip;
}

std::string& data_of(Zip& zip, std::string_view name) {
  for (ZipRecord& record : zip.records) {
    if (record.name == name) return record.data;
  }
  throw std::invalid_argument(std::string(name));
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::invalid_argument(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string onnx_says(std::string_view file) { return shown(validate_onnx(as_span(file))); }

std::string torchscript_says(std::string_view file) {
  return shown(validate_torchscript(as_span(file)));
}

std::string torchscript_says(const Zip& zip) { return torchscript_says(zip.bytes()); }

}  // namespace edge_runner::testing
