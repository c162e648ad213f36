// What torch's unpickler knows by name.
#pragma once

#include <string_view>

#include "pickle_value.hpp"

namespace edge_runner {

// The value that a name such as "torch._utils._rebuild_tensor_v2" stands for: a function, the type
// of a storage, a scheme of quantization. False if torch.jit's own pickles have no such name.
[[nodiscard]] bool find_pickle_global(std::string_view name, PickleValue& value);

}  // namespace edge_runner
