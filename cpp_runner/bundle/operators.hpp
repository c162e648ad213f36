// operators.txt, as a question.
#pragma once

#include <string_view>

namespace edge {

// Whether TorchScript may use it: "aten::add", "quantized::conv2d".
[[nodiscard]] bool is_allowed_operator(std::string_view name);

// Whether torch has an operator of that name that is not allowed. Code may call any operator as if
// it were a method (`x.save("file")`), so that no attribute may have such a name.
[[nodiscard]] bool is_refused_method(std::string_view name);

// Whether it is a class of torch's own that is allowed:
// "__torch__.torch.classes.quantized.LinearPackedParamsBase".
[[nodiscard]] bool is_allowed_class(std::string_view name);

}  // namespace edge
