// What the commands print, and in which words they fail.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "edge_runner/runner.hpp"

namespace edge_runner::tool {

using Json = nlohmann::ordered_json;

int exit_code(Code code) noexcept;

// Says what went wrong on the standard error, and with `json` on the standard output too. Gives the
// exit code.
int fail(const Error& error, bool json);

void print(const Json& json);

// On the standard error.
void warn(const std::string& sentence);

Json to_json(const std::optional<double>& value);  // null where there is none
Json to_json(const Port& port);
Json to_json(const About& about);

// Name, id, hash and digest of what was run: everything needed to say which file a figure is of.
Json identity(const Runner& runner);

std::string number(double value, int digits = 3);  // "0.00123", of so many digits that count
std::string bytes(std::uint64_t count);            // "1.2 MB"
std::string padded(std::string text, std::size_t width);

}  // namespace edge_runner::tool
