#include "processes.hpp"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "bundles.hpp"

namespace edge_runner::test {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Finished call(const std::vector<std::string>& arguments, const std::string& input,
              const std::string& before) {
  const Scratch scratch;
  const auto in = scratch.path() / "in", out = scratch.path() / "out", err = scratch.path() / "err";
  std::ofstream(in, std::ios::binary) << input;
  std::string command = before + " " + quoted(EDGE_PROGRAM);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  command += " < " + quoted(in) + " > " + quoted(out) + " 2> " + quoted(err);
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(out), read(err)};
}

}  // namespace edge_runner::test
