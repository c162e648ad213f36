#include "runner/libtorch_guards.hpp"

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <array>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace edge_runner {
namespace {

// In TorchScript itself, so that they are compiled into the graphs that they guard. Each takes the
// first arguments of its operator.
constexpr std::string_view checks = R"(
def check_division(a: int, b: int):
  assert b != 0, "integer division by zero"
  assert b != -1 or a != -9223372036854775807 - 1, "an integer division that overflows"

def check_gcd(a: int, b: int):
  least = -9223372036854775807 - 1
  assert a != least and b != least, "a greatest common divisor that overflows"

def check_to_dtype(x: Tensor, dtype: Optional[int], non_blocking: bool, copy: bool):
  assert dtype is not None or not copy, "a copy of no dtype"

def check_to_device(x: Tensor, device: Optional[Device], dtype: Optional[int],
                    non_blocking: bool, copy: bool):
  assert device is not None or dtype is not None or not copy, "a copy of no dtype and device"

def check_to_other(x: Tensor, non_blocking: bool, copy: bool):
  assert not copy, "a copy of no dtype and device"

def check_code(code: Optional[int], most: int, name: str):
  if code is not None:
    assert code >= 0 and code <= most, "{} has no value {}".format(name, code)

def check_attention(query: Tensor, key: Tensor, value: Tensor):
  for one in [query, key, value]:
    assert one.numel() > 0, "scaled_dot_product_attention of an empty tensor"

def check_projection(x: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor,
                     out_weight: Tensor, out_bias: Tensor):
  assert x.dim() == 3 and x.numel() > 0, "attention of a tensor that is empty or not of 3 axes"
  assert width == x.size(2), "attention of another width than its input's"
  assert heads > 0 and width % heads == 0, "attention of a width that its heads do not divide"
  fits = weight.size() == [3 * width, width] and bias.size() == [3 * width]
  assert fits, "attention whose projection is of another shape than its input"
  fits = out_weight.size() == [width, width] and out_bias.size() == [width]
  assert fits, "attention whose output projection is of another shape than its input"
  for one in [weight, bias, out_weight, out_bias]:
    assert one.dtype == x.dtype, "attention of several dtypes"

def check_mask(x: Tensor, heads: int, mask: Optional[Tensor], mask_type: Optional[int]):
  if mask is not None:
    batch = x.size(0)
    length = x.size(1)
    fits = False
    if mask_type is None or mask_type == 0:
      fits = mask.size() == [length, length]
    elif mask_type == 1:
      fits = mask.size() == [batch, length]
    elif mask_type == 2:
      fits = mask.size() == [batch, heads, length, length]
    assert fits, "attention whose mask is of another shape than its scores"

def check_heads(query: Tensor, key: Tensor, value: Tensor, width: int, heads: int,
                weight: Tensor, bias: Tensor, out_weight: Tensor, out_bias: Tensor,
                mask: Optional[Tensor], need_weights: bool, average_weights: bool,
                mask_type: Optional[int]):
  check_projection(query, width, heads, weight, bias, out_weight, out_bias)
  for one in [key, value]:
    assert one.dim() == 3 and one.numel() > 0, "attention of an empty tensor"
    assert one.size(2) == width, "attention whose query, key and value are of several widths"
    assert one.dtype == query.dtype, "attention of several dtypes"
  if not query.is_nested:
    fits = key.size() == query.size() and value.size() == query.size()
    assert fits, "attention whose query, key and value are of several shapes"
  check_mask(query, heads, mask, mask_type)

def check_encoder(src: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor,
                  out_weight: Tensor, out_bias: Tensor, use_gelu: bool, norm_first: bool,
                  eps: float, norm_weight_1: Tensor, norm_bias_1: Tensor, norm_weight_2: Tensor,
                  norm_bias_2: Tensor, ffn_weight_1: Tensor, ffn_bias_1: Tensor,
                  ffn_weight_2: Tensor, ffn_bias_2: Tensor, mask: Optional[Tensor],
                  mask_type: Optional[int]):
  check_projection(src, width, heads, weight, bias, out_weight, out_bias)
  for norm in [norm_weight_1, norm_bias_1, norm_weight_2, norm_bias_2]:
    fits = norm.size() == [width] and norm.dtype == src.dtype
    assert fits, "a transformer layer whose norms are of another shape than its input"
  hidden = ffn_bias_1.numel()
  fits = ffn_weight_1.size() == [hidden, width] and ffn_bias_1.size() == [hidden]
  fits = fits and ffn_weight_2.size() == [width, hidden] and ffn_bias_2.size() == [width]
  assert fits and hidden > 0, "a transformer layer whose linear layers are of another shape"
  for one in [ffn_weight_1, ffn_bias_1, ffn_weight_2, ffn_bias_2]:
    assert one.dtype == src.dtype, "a transformer layer of several dtypes"
  check_mask(src, heads, mask, mask_type)

def check_weight_norm(v: Tensor, g: Tensor, dim: int):
  assert v.dim() > 0 and v.numel() > 0, "a weight norm of an empty tensor"
  assert dim >= -1 and dim < v.dim(), "a weight norm along an axis that its weight has not"
  wanted = 1
  if dim >= 0:
    wanted = v.size(dim)
  fits = g.numel() == wanted and g.dtype == v.dtype
  assert fits, "a weight norm whose magnitudes are not one for each part of its weight"

def check_bag(weight: Tensor, indices: Tensor, offsets: Tensor, scale_grad_by_freq: bool, mode: int):
  assert weight.dim() == 2 and weight.numel() > 0, "an embedding bag of an empty table"
  assert indices.dim() == 1 and offsets.dim() == 1, "an embedding bag whose indices have axes"
  assert mode >= 0 and mode <= 2, "an embedding bag of a mode that is none"
  rising = bool(torch.all(offsets[1:] >= offsets[:-1]))
  assert rising, "an embedding bag whose offsets do not rise"

def check_packed(data: Tensor, batch_sizes: Tensor):
  assert data.numel() > 0 and data.dim() > 1, "a packed sequence without data"
  assert batch_sizes.dim() == 1 and batch_sizes.dtype == 4, "a packed sequence without its sizes"
  falling = bool(torch.all(batch_sizes[1:] <= batch_sizes[:-1]))
  fits = falling and bool(torch.all(batch_sizes > 0))
  fits = fits and int(batch_sizes.sum()) == data.size(0)
  assert fits, "a packed sequence whose sizes are not those of its data"

def check_fp16(weight: Tensor):
  fits = weight.dim() == 2 and weight.numel() > 0 and weight.dtype == 6
  assert fits, "a linear layer whose weight is no matrix of float32"
)";

struct Guard {
  std::string_view node;
  std::string_view overload;
  std::size_t arguments;
  const char* check;
};
constexpr std::array guards = {
    Guard{"aten::scaled_dot_product_attention", "", 3, "check_attention"},
    Guard{"aten::_native_multi_head_attention", "", 13, "check_heads"},
    Guard{"aten::_transformer_encoder_layer_fwd", "", 20, "check_encoder"},
    Guard{"aten::_weight_norm", "", 3, "check_weight_norm"},
    Guard{"aten::gcd", "int", 2, "check_gcd"},
    Guard{"aten::to", "prim_dtype", 4, "check_to_dtype"},
    Guard{"aten::to", "prim_device", 5, "check_to_device"},
    Guard{"aten::to", "prim_other", 3, "check_to_other"},
    Guard{"aten::embedding_bag", "", 5, "check_bag"},
    Guard{"aten::embedding_bag", "padding_idx", 5, "check_bag"},
    Guard{"aten::_pad_packed_sequence", "", 2, "check_packed"},
    Guard{"aten::lstm", "data", 2, "check_packed"},
    Guard{"aten::gru", "data", 2, "check_packed"},
    Guard{"aten::rnn_tanh", "data", 2, "check_packed"},
    Guard{"aten::rnn_relu", "data", 2, "check_packed"},
    Guard{"quantized::linear_prepack_fp16", "", 1, "check_fp16"},
};

// Of integers: those of tensors and floats have no traps.
constexpr std::array divisions = {"aten::__round_to_zero_floordiv",
                                  "aten::floordiv",
                                  "aten::remainder",
                                  "aten::mathremainder",
                                  "aten::fmod",
                                  "aten::divmod"};

std::int64_t most_of(const c10::Argument& argument) {
  const auto kind_of = [](c10::TypePtr type) {
    if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    return type->kind();
  };
  const auto kind = kind_of(argument.real_type());
  const std::string_view name = argument.name();
  const bool is_int = kind_of(argument.type()) == c10::TypeKind::IntType;
  if (kind == c10::TypeKind::ScalarTypeType || (is_int && name.ends_with("dtype"))) {
    return static_cast<std::int64_t>(c10::ScalarType::Undefined) - 1;
  }
  if (kind == c10::TypeKind::LayoutType || (is_int && name == "layout")) {
    return static_cast<std::int64_t>(c10::Layout::Strided);
  }
  if (kind == c10::TypeKind::MemoryFormatType || (is_int && name == "memory_format")) {
    return static_cast<std::int64_t>(c10::MemoryFormat::NumOptions) - 1;
  }
  return -1;
}

class Guards {
 public:
  Guards() {
    unit_.define(std::nullopt, std::string(checks), torch::jit::nativeResolver(), nullptr);
  }

  void put(torch::jit::Function& function) {
    auto* known = torch::jit::tryToGraphFunction(function);
    if (known != nullptr) put(known->graph()->block());
  }

 private:
  void put(torch::jit::Block* block) {
    // What is put stands before the node, so that this loop does not meet it.
    for (torch::jit::Node* node : block->nodes()) {
      for (torch::jit::Block* inner : node->blocks()) put(inner);
      const auto* schema = node->maybeSchema();
      if (schema != nullptr) put(*node, *schema);
    }
  }

  void put(torch::jit::Node& node, const c10::FunctionSchema& schema) {
    for (std::size_t i = 0; i < schema.arguments().size() && i < node.inputs().size(); ++i) {
      const std::int64_t most = most_of(schema.arguments()[i]);
      if (most >= 0) put_code(node, *node.input(i), most, schema.arguments()[i].name());
    }
    const std::string_view name = schema.name();
    for (const Guard& guard : guards) {
      if (guard.node != name || guard.overload != schema.overload_name()) continue;
      insert(node, guard.check, node.inputs().slice(0, guard.arguments));
    }
    for (const std::string_view division : divisions) {
      if (division == name) put_division(node);
    }
  }

  void put_division(torch::jit::Node& node) {
    const auto is_int = [](const torch::jit::Value* value) {
      return value->type()->kind() == c10::TypeKind::IntType;
    };
    if (node.inputs().size() != 2 || !is_int(node.input(0)) || !is_int(node.input(1))) return;
    const auto divisor = torch::jit::toIValue(node.input(1));
    if (divisor && divisor->isInt() && divisor->toInt() != 0 && divisor->toInt() != -1) return;
    insert(node, "check_division", node.inputs());
  }

  void put_code(torch::jit::Node& node, torch::jit::Value& value, std::int64_t most,
                const std::string& name) {
    const auto constant = torch::jit::toIValue(&value);
    if (constant && constant->isInt()) {
      const std::int64_t code = constant->toInt();
      if (code >= 0 && code <= most) return;
      throw std::runtime_error(std::string("its code gives ") + node.kind().toQualString() +
                               " the " + name + " " + std::to_string(code) + ", which is none");
    }
    if (constant && constant->isNone()) return;
    const auto from = value.node()->kind();
    if (from == torch::jit::prim::dtype || from == torch::jit::prim::layout) return;
    const torch::jit::WithInsertPoint here(&node);
    torch::jit::Graph& graph = *node.owningGraph();
    const std::vector<torch::jit::Value*> inputs = {&value, graph.insertConstant(most),
                                                    graph.insertConstant(name)};
    insert(node, "check_code", inputs);
  }

  void insert(torch::jit::Node& node, const char* check, at::ArrayRef<torch::jit::Value*> inputs) {
    const torch::jit::WithInsertPoint here(&node);
    const auto graph = torch::jit::toGraphFunction(unit_.get_function(check)).graph()->copy();
    torch::jit::Inline(*graph);
    torch::jit::insertGraph(*node.owningGraph(), *graph, inputs);
  }

  torch::jit::CompilationUnit unit_;
};

}  // namespace

void put_guards(const torch::jit::Module& module) {
  Guards checked;
  for (torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    checked.put(*function);
  }
}

}  // namespace edge_runner
