#include <chrono>
#include <iostream>

#include "tool/commands.hpp"
#include "tool/frames.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

Json error_json(const Error& error) {
  return {{"error", {{"code", to_string(error.code)}, {"message", error.message}}}};
}

int refuse(const Error& error) {
  write_frame(std::cout, error_json(error), {});
  return fail(error, false);
}

// Answers frame by frame. A run that fails is an answer, too; a frame that is none is the end.
int answer_all(const Runner& runner) {
  while (true) {
    const auto frame = read_frame(std::cin);
    if (!frame) return refuse(frame.error());
    if (!*frame) return Exit::done;
    const auto start = std::chrono::steady_clock::now();
    const auto answers = runner.run(**frame);
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
    const bool written = answers ? write_frame(std::cout, {{"nanoseconds", took.count()}}, *answers)
                                 : write_frame(std::cout, error_json(answers.error()), {});
    if (!written) return Exit::machine;
  }
}

}  // namespace

int exec(const Common& common) {
  std::ios::sync_with_stdio(false);
  const auto bundle = Bundle::open(common.bundle);
  if (!bundle) return refuse(bundle.error());
  const auto start = std::chrono::steady_clock::now();
  const auto runner = Runner::open(*bundle, common.options);
  const std::chrono::duration<double, std::milli> load_ms =
      std::chrono::steady_clock::now() - start;
  if (!runner) return refuse(runner.error());
  Json hello = identity(*runner);
  hello["load_ms"] = load_ms.count();
  hello["warnings"] = runner->warnings();
  if (!write_frame(std::cout, hello, {})) return Exit::machine;
  return answer_all(*runner);
}

}  // namespace edge_runner::tool
