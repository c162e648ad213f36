#pragma once

#include <string>
#include <string_view>

namespace edge_runner {

// What is wrong with an ONNX TensorProto, or "": its type, its dims, or that its bytes or numbers
// are not as many as dims × type asks. The fields' own kinds were checked before.
[[nodiscard]] std::string wrong_with_tensor(std::string_view tensor);

}  // namespace edge_runner
