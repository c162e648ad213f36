#include "bundle/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>

#include "bundle/failure.hpp"
#include "bundle/names.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18U;  // read and hashed while it is in the cache

[[noreturn]] void unreadable(std::string_view name, int why) {
  fail(Code::cannot_read,
       std::string(name) + " cannot be read: " + std::generic_category().message(why) + ".");
}

void check_plain(const struct stat& status, std::string_view name) {
  if (S_ISLNK(status.st_mode)) {
    fail(Code::link, std::string(name) + " is a symbolic link; a bundle holds plain files.");
  }
  if (!S_ISREG(status.st_mode)) {
    const bool folder = S_ISDIR(status.st_mode);
    fail(Code::not_a_file, std::string(name) + " is " +
                               (folder ? "a folder" : "a pipe, socket or device") +
                               " where a plain file belongs.");
  }
  if (status.st_nlink != 1) {
    fail(Code::hard_link, std::string(name) + " has " + std::to_string(status.st_nlink) +
                              " hard links; a file of a bundle has one.");
  }
}

// What stood there when the folder was listed may be another thing by now.
Descriptor open_below(int folder, const std::string& segment, int flags, std::string_view name) {
  const int number = openat(folder, segment.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
  if (number >= 0) return Descriptor(number);
  if (errno == ENOENT) {
    fail(Code::missing_file, std::string(name) + " is listed in the manifest but is not there.");
  }
  if (errno == ELOOP || errno == ENOTDIR) {
    fail(Code::link, std::string(name) + " is a symbolic link; a bundle holds plain files.");
  }
  if (errno == ENXIO) {  // a socket
    fail(Code::not_a_file,
         std::string(name) + " is a pipe, socket or device where a plain file belongs.");
  }
  unreadable(name, errno);
}

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { closedir(folder); }
};

// The names in a folder, sorted; not many more than a bundle may have.
std::vector<std::string> names_in(Descriptor folder, std::string_view name) {
  const std::unique_ptr<DIR, CloseFolder> stream(fdopendir(folder.get()));
  if (!stream) unreadable(name, errno);
  folder.release();
  std::vector<std::string> names;
  while (names.size() <= kMaxFiles) {
    errno = 0;
    const dirent* entry = readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): a stream of ours
    if (entry == nullptr && errno != 0) unreadable(name, errno);
    if (entry == nullptr) break;
    const std::string_view found = entry->d_name;
    if (found != "." && found != "..") names.emplace_back(found);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void walk_folder(int folder, const std::string& prefix, Tree& tree) {
  const std::string_view shown = prefix.empty() ? "The bundle" : std::string_view(prefix);
  for (const std::string& name : names_in(open_below(folder, ".", O_DIRECTORY, shown), shown)) {
    const std::string path = prefix + name;
    check_name(path);
    struct stat status{};
    if (fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) unreadable(path, errno);
    if (S_ISDIR(status.st_mode)) {
      tree.folders.push_back(path);
      const Descriptor inner = open_below(folder, name, O_DIRECTORY, path);
      walk_folder(inner.get(), path + "/", tree);
    } else {
      check_plain(status, path);
      tree.sizes.emplace(path, static_cast<std::uint64_t>(status.st_size));
    }
    if (tree.sizes.size() + tree.folders.size() > kMaxFiles) {
      fail(Code::too_many_files, "The bundle holds more than 1024 files.");
    }
  }
}

// A page fault for each new page of 4 KB takes longer than to read its bytes: the kernel is asked
// for pages of 2 MB, where it has them, and may as well not.
void expect_much(std::byte* data, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* start = data;
  if (std::align(page, page, start, bytes) != nullptr) {
    static_cast<void>(madvise(start, bytes / page * page, MADV_HUGEPAGE));
  }
#endif
}

std::size_t read_piece(int file, std::span<std::byte> room, std::string_view name) {
  for (;;) {
    const ssize_t count = read(file, room.data(), room.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) unreadable(name, errno);
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Descriptor open_folder(const std::filesystem::path& path) {
  const int number = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (number >= 0) return Descriptor(number);
  if (errno == ENOENT) fail(Code::cannot_read, "There is no bundle " + path.string() + ".");
  if (errno == ENOTDIR) {
    fail(Code::not_a_bundle, path.filename().string() + " is no bundle: it is no folder.");
  }
  unreadable(path.string(), errno);
}

Tree walk(const Descriptor& root) {
  Tree tree;
  walk_folder(root.get(), "", tree);
  return tree;
}

OpenFile open_file(const Descriptor& root, std::string_view name) {
  Descriptor folder(-1);
  int above = root.get();
  std::string_view rest = name;
  for (std::size_t end = rest.find('/'); end != std::string_view::npos; end = rest.find('/')) {
    folder = open_below(above, std::string(rest.substr(0, end)), O_DIRECTORY, name);
    above = folder.get();
    rest.remove_prefix(end + 1);
  }
  // O_NONBLOCK: a pipe without a writer would block for ever before it could be refused.
  Descriptor file = open_below(above, std::string(rest), O_NONBLOCK, name);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) unreadable(name, errno);
  check_plain(status, name);
  return {std::move(file), static_cast<std::uint64_t>(status.st_size)};
}

Content read_file(const Descriptor& root, std::string_view name, std::uint64_t bytes) {
  const OpenFile file = open_file(root, name);
  if (file.size != bytes) refuse_size(name, file.size, bytes);
  Content content;
  content.bytes.reserve(bytes);  // never moves while it is hashed
  expect_much(content.bytes.data(), bytes);
  content.sha256 =
      std::make_unique<FillingHash>(std::span<const std::byte>(content.bytes.data(), bytes));
  std::size_t done = 0;
  while (done < bytes) {
    const std::size_t size = std::min(kPiece, bytes - done);
    content.bytes.resize(done + size);
    const std::size_t count =
        read_piece(file.descriptor.get(), {content.bytes.data() + done, size}, name);
    if (count == 0) refuse_size(name, done, bytes);
    done += count;
    content.sha256->filled(done);
  }
  std::byte more{};
  if (read_piece(file.descriptor.get(), {&more, 1}, name) != 0) refuse_size(name, bytes + 1, bytes);
  return content;
}

void refuse_size(std::string_view name, std::uint64_t there, std::uint64_t claimed) {
  fail(Code::wrong_size, std::string(name) +
                             " has another size than the manifest says: " + std::to_string(there) +
                             " bytes, not " + std::to_string(claimed) + ".");
}

}  // namespace edge_runner
