#include "bundle/names.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "bundle/failure.hpp"

namespace edge_runner {
namespace {

constexpr std::size_t kMaxLevels = 4;
constexpr std::size_t kMaxName = 128;

// Locale-free: the same bytes are letters everywhere.
constexpr bool is_alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return lower(c); });
  return result;
}

bool is_portable(std::string_view segment) {
  if (segment.empty() || !is_alphanumeric(segment.front())) return false;
  return std::all_of(segment.begin(), segment.end(),
                     [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

// https://learn.microsoft.com/windows/win32/fileio/naming-a-file
bool is_reserved(std::string_view segment) {
  const std::string stem = lower(segment.substr(0, segment.find('.')));
  constexpr std::array<std::string_view, 4> devices = {"con", "prn", "aux", "nul"};
  if (std::find(devices.begin(), devices.end(), stem) != devices.end()) return true;
  const bool port = stem.starts_with("com") || stem.starts_with("lpt");
  return port && stem.size() == 4 && stem[3] >= '0' && stem[3] <= '9';
}

[[noreturn]] void unsafe(std::string_view name, std::string_view why) {
  fail(Code::unsafe_name,
       "The name " + quoted(name) + " is not portable: " + std::string(why) + ".");
}

void check_segment(std::string_view name, std::string_view segment) {
  if (!is_portable(segment)) {
    unsafe(name, "letters, digits, '.', '_' and '-' only, a letter or digit first");
  }
  if (segment.ends_with('.')) unsafe(name, "it ends with a dot");
  if (is_reserved(segment)) unsafe(name, "Windows reserves it");
}

}  // namespace

void check_name(std::string_view name) {
  if (name.size() > kMaxName) unsafe(name, "it is longer than 128 characters");
  std::size_t levels = 0;
  std::string_view rest = name;
  for (;;) {
    const std::size_t end = rest.find('/');
    check_segment(name, rest.substr(0, end));
    ++levels;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (levels > kMaxLevels) {
    fail(Code::too_deep, quoted(name) + " lies more than 4 levels deep.");
  }
}

void check_names(const std::vector<std::string>& names) {
  std::map<std::string, std::string_view, std::less<>> seen;
  for (const std::string_view name : names) {
    std::size_t end = 0;
    while (end != std::string_view::npos) {
      end = name.find('/', end + 1);
      const std::string_view path = name.substr(0, end);
      const auto [first, is_new] = seen.try_emplace(lower(path), path);
      if (!is_new && first->second != path) {
        fail(Code::case_collision, std::string(path) + " and " + std::string(first->second) +
                                       " differ in upper and lower case alone.");
      }
    }
  }
}

}  // namespace edge_runner
