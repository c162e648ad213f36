// operators.txt, as a question.
#pragma once

#include <string_view>

namespace edge_runner {

// Whether TorchScript may use it: "aten::add", "quantized::conv2d".
[[nodiscard]] bool is_allowed_operator(std::string_view name);

// Whether torch has an operator of that name that is not allowed and that code may call as a method
// of its first argument (`x.record_stream(s)`), so that no attribute may have the name.
[[nodiscard]] bool is_refused_method(std::string_view name);

// Whether an allowed operator has an argument of that name, given by its name alone, that it writes
// into: `out`.
[[nodiscard]] bool is_refused_keyword(std::string_view name);

// Whether it is a class of torch's own that is allowed:
// "__torch__.torch.classes.quantized.LinearPackedParamsBase".
[[nodiscard]] bool is_allowed_class(std::string_view name);

}  // namespace edge_runner
