// A TorchScript archive, from the outside in: the zip's structure, which records there are, the
// code, the pickles with the tensors that they describe.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "code.hpp"
#include "edge_runner/bundle.hpp"
#include "failure.hpp"
#include "pickle.hpp"
#include "zip.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxCode = 1U << 26U;  // bytes in all; timm's largest has 440 KB

using Records = std::map<std::string_view, std::string_view>;

[[noreturn]] void refuse(const std::string& why) {
  fail(Code::unsafe_model, "TorchScript archive: " + why + ".");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || is_digit(c); });
}

// code/__torch__/torch/nn/modules/conv.py
bool is_code(std::string_view name) {
  if (!name.starts_with("code/__torch__") || !name.ends_with(".py")) return false;
  name.remove_prefix(std::string_view("code/").size());
  name.remove_suffix(std::string_view(".py").size());
  for (;;) {
    const std::size_t slash = name.find('/');
    if (!is_identifier(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_storage(std::string_view name) {
  for (const std::string_view folder : {"data/", "constants/"}) {
    if (name.starts_with(folder) && is_number(name.substr(folder.size()))) return true;
  }
  return false;
}

// What stands beside code, pickles and storages, and must say just this.
void check_small(std::string_view name, std::string_view bytes) {
  if (name == "byteorder") {
    if (bytes != "little") refuse("its byte order is not little-endian");
  } else if (name == "version" || name == ".data/version") {
    if (!bytes.ends_with('\n') || !is_number(bytes.substr(0, bytes.size() - 1))) {
      refuse("its version is not a number");
    }
  } else if (name == ".data/serialization_id") {
    const bool digits = std::all_of(bytes.begin(), bytes.end(), is_digit);
    if (bytes.size() > 64 || !digits) refuse("its serialization_id is not a number");
  } else if (name.ends_with(".debug_pkl")) {
    refuse("it has " + quoted(name) +
           ", which tells of the machine that made it; write it with the "
           "pipeline, which leaves that out");
  } else {
    refuse("it has the record " + quoted(name) + ", which is not allowed");
  }
}

void check_records(const std::vector<Record>& records) {
  std::size_t code = 0;
  for (const Record& record : records) {
    const bool pickle = record.name == "data.pkl" || record.name == "constants.pkl";
    if (is_code(record.name)) {
      code += record.bytes.size();
    } else if (!pickle && !is_storage(record.name)) {
      check_small(record.name, record.bytes);
    }
  }
  if (code > kMaxCode) refuse("it has more than 64 MiB of code");
}

void check_all_code(const std::vector<Record>& records, Definitions& definitions) {
  for (const Record& record : records) {
    if (is_code(record.name)) add_definitions(record.name, record.bytes, definitions);
  }
  for (const Record& record : records) {
    if (is_code(record.name)) check_code(record.name, record.bytes, definitions);
  }
}

// `folder` is where the pickle's storages lie. Adds those that it uses to `used`.
void check_one_pickle(std::string_view name, const std::string& folder, const Records& records,
                      const Definitions& definitions, std::set<std::string>& used) {
  const auto pickle = records.find(name);
  if (pickle == records.end()) refuse("it has no " + std::string(name));
  PickleWorld world;
  world.storage = [&](std::string_view key, std::uint64_t& bytes) {
    const std::string record = folder + std::string(key);
    const auto found = is_number(key) ? records.find(record) : records.end();
    if (found == records.end()) return false;
    bytes = found->second.size();
    used.insert(record);
    return true;
  };
  world.has_class = [&](std::string_view type) { return is_defined(type, definitions); };
  check_pickle(name, pickle->second, world);
}

}  // namespace

Result<Done> validate_torchscript(std::span<const std::byte> file) noexcept {
  return guarded([file] {
    const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
    const std::vector<Record> archive = read_archive(bytes);
    check_records(archive);
    Definitions definitions;
    check_all_code(archive, definitions);

    Records records;
    for (const Record& record : archive) records.emplace(record.name, record.bytes);
    if (!records.contains("version") && !records.contains(".data/version")) {
      refuse("it has no version");
    }
    std::set<std::string> used;
    check_one_pickle("constants.pkl", "constants/", records, definitions, used);
    check_one_pickle("data.pkl", "data/", records, definitions, used);
    for (const auto& [name, data] : records) {
      if (is_storage(name) && !used.contains(std::string(name))) {
        refuse(quoted(name) + " is used by nothing");
      }
    }
    return Done{};
  });
}

}  // namespace edge_runner
