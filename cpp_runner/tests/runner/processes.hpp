// The program edge-runner as a process.
#pragma once

#include <string>
#include <vector>

namespace edge_runner::test {

struct Finished {
  int code = 0;  // 128 + the signal's number where one ended it
  std::string out, err;
};

// `before` stands before the program: variables of the environment, "ulimit -v 1000;".
Finished call(const std::vector<std::string>& arguments, const std::string& input = "",
              const std::string& before = "");

}  // namespace edge_runner::test
