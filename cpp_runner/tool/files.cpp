#include "tool/files.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "runner/describe.hpp"
#include "tool/npy.hpp"
#include "tool/pictures.hpp"

namespace edge_runner::tool {
namespace {

namespace fs = std::filesystem;

Error cannot(const fs::path& path, const char* what) {
  return {Code::cannot_read, path.string() + " cannot be " + what + ": " + std::strerror(errno)};
}

std::string ending(const fs::path& path) {
  std::string text = path.extension().string();
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Result<Tensor> with_batch(Result<Tensor> tensor, const Port& port) {
  if (tensor && port.batch_axis && tensor->shape.size() + 1 == port.shape.size()) {
    tensor->shape.insert(tensor->shape.begin() + static_cast<std::ptrdiff_t>(*port.batch_axis), 1);
  }
  return tensor;
}

Result<Tensor> raw(const Port& port, Bytes data, Shape shape, const std::string& file) {
  for (std::size_t axis = 0; shape.size() < port.shape.size(); ++axis) {
    if (axis != port.batch_axis && !port.shape[axis]) {
      return Error{Code::bad_input, file + ": raw numbers for " + port.name + ", which is " +
                                        describe(port) + "; give their --shape"};
    }
    shape.push_back(port.shape[axis].value_or(1));
  }
  return Tensor{port.dtype, std::move(shape), std::move(data)};
}

}  // namespace

Result<Bytes> read_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) errno = EISDIR;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || fs::is_directory(path, error)) return cannot(path, "read");
  Bytes bytes(static_cast<std::size_t>(std::max<std::streamoff>(file.tellg(), 0)));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()))) {
    return cannot(path, "read");
  }
  return bytes;
}

Result<Done> write_file(const fs::path& path, const Bytes& bytes) {
  fs::path draft = path;
  draft += ".part";
  std::ofstream file(draft, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file || std::rename(draft.c_str(), path.c_str()) != 0) return cannot(path, "written");
  return Done{};
}

Result<Tensor> read_input(const Port& port, const std::string& file, const Shape& raw_shape) {
  auto data = read_file(file);
  if (!data) return data.error();
  const std::string kind = ending(file);
  if (kind == ".npy") return with_batch(parse_npy(*data, file), port);
  if (kind == ".png" || kind == ".jpg" || kind == ".jpeg") {
    if (port.kind != "image") {
      return Error{Code::bad_input, file + ": the input " + port.name + " is no picture but " +
                                        describe(port) + "; give .npy or raw numbers"};
    }
    return decode_picture(*data, port.shape.back().value_or(3), file);
  }
  return raw(port, *std::move(data), raw_shape, file);
}

}  // namespace edge_runner::tool
