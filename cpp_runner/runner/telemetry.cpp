#include "runner/telemetry.hpp"

#include <cstdlib>
#include <string_view>

namespace edge_runner {
namespace {

constexpr const char* variable = "ORT_DISABLE_TELEMETRY";

// When this library is loaded: for a program that links to it that is before main, while nothing
// else can be reading the environment, which threads must not do while it is changed.
[[gnu::constructor]] void at_load() { static_cast<void>(telemetry_off()); }

}  // namespace

bool telemetry_off() noexcept {
  const char* given = std::getenv(variable);
  if (given != nullptr && std::string_view(given) == "1") return true;
  return setenv(variable, "1", 1) == 0;
}

}  // namespace edge_runner
