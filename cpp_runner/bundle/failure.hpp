// Inside libbundle a failure is thrown, and at its boundary it becomes a Result: nothing escapes.
#pragma once

#include <exception>
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

// What no library and no file is to blame for.
[[nodiscard]] inline Error mistake(std::string_view what) {
  return {Code::internal, "a mistake of edge_runner: " + std::string(what)};
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
  } catch (const std::exception& error) {
    return mistake(error.what());
  } catch (...) {
    return mistake("something that is no exception was thrown");
  }
}

// A name as a message may show it: quoted, cut at 128 bytes, all but printable ASCII escaped.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace edge_runner
