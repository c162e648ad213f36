// The code of a TorchScript archive: which names it defines, and that it uses no operators but
// those of operators.txt.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace edge_runner {

using Definitions = std::set<std::string, std::less<>>;

// Adds the classes and functions of a code file ("code/__torch__/net.py"), as "__torch__.net.Net".
void add_definitions(std::string_view file, std::string_view text, Definitions& definitions);

// Whether a name is of a class or function of the archive, or a part of one (a value of an Enum),
// or of a class of torch's own that is allowed.
[[nodiscard]] bool is_defined(std::string_view name, const Definitions& definitions);

// Throws Failure (unsafe_model), its message naming `file` and the line.
void check_code(std::string_view file, std::string_view text, const Definitions& definitions);

}  // namespace edge_runner
