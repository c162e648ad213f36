#include "zip.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "failure.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kEnd = 22, kLocator = 20, kEnd64 = 56;
constexpr std::uint64_t kNone16 = 0xffff, kNone32 = 0xffffffff;  // "see the 64-bit field"
constexpr std::size_t kMaxRecords = 1U << 20U;
constexpr std::uint64_t kUtf8 = 0x0800, kDescriptor = 0x0008;

[[noreturn]] void refuse(const std::string& why) {
  fail(Code::unsafe_model, "TorchScript archive: " + why + ".");
}

// Little-endian numbers from the front of some bytes; past their end it fails.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t take(unsigned size) {
    const std::string_view bytes = take_bytes(size);
    std::uint64_t value = 0;
    for (unsigned i = size; i > 0; --i) {
      value = value << 8U | static_cast<unsigned char>(bytes[i - 1]);
    }
    return value;
  }

  std::string_view take_bytes(std::uint64_t size) {
    if (size > rest_.size()) refuse("a header is cut off");
    const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return bytes;
  }

  void expect(unsigned size, std::uint64_t value, const char* what) {
    if (take(size) != value) refuse(std::string(what) + " is not what torch writes");
  }

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
};

struct Directory {
  std::uint64_t records = 0, bytes = 0, offset = 0;
};

void expect_number(Cursor& from, unsigned size, std::uint64_t value, std::uint64_t none) {
  from.expect(size, std::min(value, none), "the end record");
}

// The three records at the end, which must be the last bytes of the file: no comment, and nothing
// that another reader could take for the end.
Directory read_end(std::string_view file) {
  if (file.size() < kEnd + kLocator + kEnd64) refuse("it is too short");
  const std::size_t start = file.size() - kEnd - kLocator - kEnd64;
  Cursor end(file.substr(start));
  Directory directory;
  end.expect(4, 0x06064b50, "the 64-bit end record");
  end.expect(8, kEnd64 - 12, "the 64-bit end record");
  end.expect(4, 0x002d031e, "the end record's version");
  end.expect(8, 0, "the number of disks");
  directory.records = end.take(8);
  end.expect(8, directory.records, "the number of records");
  directory.bytes = end.take(8);
  directory.offset = end.take(8);
  end.expect(4, 0x07064b50, "the end locator");
  end.expect(4, 0, "the number of disks");
  end.expect(8, start, "the place of the end record");
  end.expect(4, 1, "the number of disks");
  end.expect(4, 0x06054b50, "the end record");
  end.expect(4, 0, "the number of disks");
  expect_number(end, 2, directory.records, kNone16);
  expect_number(end, 2, directory.records, kNone16);
  expect_number(end, 4, directory.bytes, kNone32);
  expect_number(end, 4, directory.offset, kNone32);
  end.expect(2, 0, "a comment's length");
  if (directory.offset > start || directory.bytes != start - directory.offset) {
    refuse("its directory does not end where the end record begins");
  }
  if (directory.records > kMaxRecords) refuse("it has more than 1,048,576 records");
  return directory;
}

struct Header {
  std::string_view name;
  std::uint64_t version = 0, flags = 0, method = 0, time = 0, crc = 0, packed = 0, size = 0,
                offset = 0;
  std::string_view wide;  // the extra field of 64-bit numbers
};

// Zip64's numbers, for those that did not fit, and torch's padding ("FB", length, "ZZZ...").
void read_extra(std::string_view bytes, Header& header) {
  Cursor extra(bytes);
  while (!extra.empty()) {
    const std::uint64_t id = extra.take(2);
    const std::string_view content = extra.take_bytes(extra.take(2));
    if (id == 0x4246) {
      if (content.find_first_not_of('Z') != std::string_view::npos)
        refuse("its padding hides data");
      continue;
    }
    if (id != 0x0001 || content.empty() || !header.wide.empty()) {
      refuse("a record has an extra field that is unknown or repeated");
    }
    header.wide = content;
  }
}

// Whether the 64-bit numbers of a record's own header are the directory's; the packed size was not
// known yet when torch wrote it.
bool same_wide(std::string_view local, const Header& central) {
  if (local.size() != central.wide.size()) return false;
  const bool has_sizes = central.wide.size() >= 16;
  const std::string_view packed = has_sizes ? local.substr(8, 8) : "";
  return local.substr(0, 8) == central.wide.substr(0, 8) &&
         packed.find_first_not_of('\0') == std::string_view::npos &&
         (!has_sizes || local.substr(16) == central.wide.substr(16));
}

void widen(Header& header) {
  Cursor wide(header.wide);
  if (header.size == kNone32) header.size = wide.take(8);
  if (header.packed == kNone32) header.packed = wide.take(8);
  if (header.offset == kNone32) header.offset = wide.take(8);
  if (!wide.empty()) refuse("a record's 64-bit sizes are not what torch writes");
}

Header read_central(Cursor& directory) {
  Header header;
  directory.expect(4, 0x02014b50, "a record's entry in the directory");
  directory.expect(2, 0, "a record's version");
  header.version = directory.take(2);
  header.flags = directory.take(2);
  header.method = directory.take(2);
  header.time = directory.take(4);
  header.crc = directory.take(4);
  header.packed = directory.take(4);
  header.size = directory.take(4);
  const std::uint64_t name = directory.take(2);
  const std::uint64_t extra = directory.take(2);
  directory.expect(2, 0, "a comment's length");
  directory.expect(2, 0, "the number of disks");
  directory.expect(6, 0, "a record's attributes");
  header.offset = directory.take(4);
  header.name = directory.take_bytes(name);
  read_extra(directory.take_bytes(extra), header);
  widen(header);
  return header;
}

[[noreturn]] void refuse_record(const Header& header, const std::string& why) {
  refuse(quoted(header.name) + " " + why);
}

// The local header, the data and the descriptor behind it; gives the data.
std::string_view read_local(Cursor& file, const Header& central) {
  Header local;
  file.expect(4, 0x04034b50, "what stands before a record");
  local.version = file.take(2);
  local.flags = file.take(2);
  local.method = file.take(2);
  local.time = file.take(4);
  const std::uint64_t numbers = file.take(4) | file.take(4) | file.take(4);
  const std::uint64_t name = file.take(2);
  const std::uint64_t extra = file.take(2);
  local.name = file.take_bytes(name);
  read_extra(file.take_bytes(extra), local);
  if (local.name != central.name || local.version != central.version ||
      local.flags != central.flags || local.method != central.method ||
      local.time != central.time || !same_wide(local.wide, central)) {
    refuse_record(central, "differs between its own header and the directory");
  }
  if (central.method != 0 || central.packed != central.size) {
    refuse_record(central, "is compressed; write it with the pipeline, which does not");
  }
  const bool described = central.flags == (kUtf8 | kDescriptor);
  if (!described && (central.flags != kUtf8 || central.size != 0 || central.crc != 0)) {
    refuse_record(central, "has flags that torch does not write");
  }
  if (numbers != 0) refuse_record(central, "has sizes before it as well as behind it");
  const std::string_view data = file.take_bytes(central.size);
  if (described) {
    const unsigned width = central.wide.empty() ? 4 : 8;
    file.expect(4, 0x08074b50, "what stands behind a record");
    file.expect(4, central.crc, "the CRC behind a record");
    file.expect(width, central.packed, "the size behind a record");
    file.expect(width, central.size, "the size behind a record");
  }
  return data;
}

std::uint64_t crc_of(std::string_view data) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
}

// torch looks names up without regard to upper and lower case.
std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

}  // namespace

std::vector<Record> read_archive(std::string_view file) {
  const Directory directory = read_end(file);
  const auto start = static_cast<std::size_t>(directory.offset);
  Cursor entries(file.substr(start, static_cast<std::size_t>(directory.bytes)));
  Cursor contents(file.substr(0, start));
  std::vector<Record> records;
  std::unordered_set<std::string> names;
  std::string_view folder;
  for (std::uint64_t i = 0; i < directory.records; ++i) {
    const Header header = read_central(entries);
    if (header.offset != start - contents.left()) {
      refuse_record(header, "does not begin where the record before it ends");
    }
    const std::string_view data = read_local(contents, header);
    if (crc_of(data) != header.crc)
      refuse_record(header, "has a CRC-32 other than its header says");
    const std::size_t slash = header.name.find('/');
    if (slash == std::string_view::npos || slash == 0) refuse_record(header, "is not in a folder");
    if (i == 0) folder = header.name.substr(0, slash);
    if (header.name.substr(0, slash) != folder) refuse_record(header, "is in a different folder");
    if (!names.insert(lower(header.name)).second) refuse_record(header, "appears twice");
    records.push_back({header.name.substr(slash + 1), data});
  }
  if (!entries.empty()) refuse("its directory has more than its records");
  if (contents.left() != 0) refuse("it has data between its records and its directory");
  return records;
}

}  // namespace edge_runner
