// Inside libbundle a failure is thrown, and at its boundary it becomes a Result: nothing escapes.
#pragma once

#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "edge_runner/error.hpp"

namespace edge_runner {

struct Failure {
  Error error;
};

[[noreturn]] inline void fail(Code code, std::string message) {
  throw Failure{{code, std::move(message)}};
}

// What `work` returns, as a Result.
template <typename Work>
auto guarded(Work&& work) noexcept -> Result<decltype(work())> {
  try {
    return std::forward<Work>(work)();
  } catch (Failure& failure) {
    return std::move(failure.error);
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, "Out of memory."};  // short enough to need none itself
  } catch (...) {
    return Error{Code::cannot_read, "It fails."};
  }
}

// A name as a message may show it: quoted, cut at 128 bytes, all but printable ASCII escaped.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace edge_runner
