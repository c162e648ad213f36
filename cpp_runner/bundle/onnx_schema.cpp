#include "onnx_schema.hpp"

#include <array>

namespace edge_runner {
namespace {

constexpr bool kMany = true;

constexpr std::array kModel = {
    Rule{1, "ir_version", Kind::number},
    Rule{2, "producer_name", Kind::text},
    Rule{3, "producer_version", Kind::text},
    Rule{4, "domain", Kind::text},
    Rule{5, "model_version", Kind::number},
    Rule{6, "doc_string", Kind::text},
    Rule{7, "graph", Kind::message, false, Message::graph},
    Rule{8, "opset_import", Kind::message, kMany, Message::opset},
    Rule{14, "metadata_props", Kind::message, kMany, Message::entry},
    Rule{20, "training_info", Kind::refused},
    Rule{25, "functions", Kind::refused},
    Rule{26, "configuration", Kind::refused},
};
constexpr std::array kOpset = {
    Rule{1, "domain", Kind::text},
    Rule{2, "version", Kind::number},
};
constexpr std::array kEntry = {
    Rule{1, "key", Kind::text},
    Rule{2, "value", Kind::text},
};
constexpr std::array kGraph = {
    Rule{1, "node", Kind::message, kMany, Message::node},
    Rule{2, "name", Kind::text},
    Rule{5, "initializer", Kind::message, kMany, Message::tensor},
    Rule{10, "doc_string", Kind::text},
    Rule{11, "input", Kind::message, kMany, Message::value},
    Rule{12, "output", Kind::message, kMany, Message::value},
    Rule{13, "value_info", Kind::message, kMany, Message::value},
    Rule{14, "quantization_annotation", Kind::message, kMany, Message::annotation},
    Rule{15, "sparse_initializer", Kind::refused},
    Rule{16, "metadata_props", Kind::message, kMany, Message::entry},
};
constexpr std::array kNode = {
    Rule{1, "input", Kind::text, kMany},
    Rule{2, "output", Kind::text, kMany},
    Rule{3, "name", Kind::text},
    Rule{4, "op_type", Kind::text},
    Rule{5, "attribute", Kind::message, kMany, Message::attribute},
    Rule{6, "doc_string", Kind::text},
    Rule{7, "domain", Kind::text},
    Rule{8, "overload", Kind::refused},
    Rule{9, "metadata_props", Kind::message, kMany, Message::entry},
    Rule{10, "device_configurations", Kind::refused},
};
constexpr std::array kAttribute = {
    Rule{1, "name", Kind::text},
    Rule{2, "f", Kind::float32},
    Rule{3, "i", Kind::number},
    Rule{4, "s", Kind::text},
    Rule{5, "t", Kind::message, false, Message::tensor},
    Rule{6, "g", Kind::message, false, Message::graph},
    Rule{7, "floats", Kind::floats, kMany},
    Rule{8, "ints", Kind::numbers, kMany},
    Rule{9, "strings", Kind::text, kMany},
    Rule{10, "tensors", Kind::message, kMany, Message::tensor},
    Rule{11, "graphs", Kind::message, kMany, Message::graph},
    Rule{13, "doc_string", Kind::text},
    Rule{14, "tp", Kind::message, false, Message::type},
    Rule{15, "type_protos", Kind::message, kMany, Message::type},
    Rule{20, "type", Kind::number},
    Rule{21, "ref_attr_name", Kind::refused},  // of functions
    Rule{22, "sparse_tensor", Kind::refused},
    Rule{23, "sparse_tensors", Kind::refused},
};
constexpr std::array kTensor = {
    Rule{1, "dims", Kind::numbers, kMany},
    Rule{2, "data_type", Kind::number},
    Rule{3, "segment", Kind::refused},
    Rule{4, "float_data", Kind::floats, kMany},
    Rule{5, "int32_data", Kind::numbers, kMany},
    Rule{6, "string_data", Kind::text, kMany},
    Rule{7, "int64_data", Kind::numbers, kMany},
    Rule{8, "name", Kind::text},
    Rule{9, "raw_data", Kind::text},
    Rule{10, "double_data", Kind::doubles, kMany},
    Rule{11, "uint64_data", Kind::numbers, kMany},
    Rule{12, "doc_string", Kind::text},
    Rule{13, "external_data", Kind::refused},
    Rule{14, "data_location", Kind::number},
    Rule{16, "metadata_props", Kind::message, kMany, Message::entry},
};
constexpr std::array kAnnotation = {
    Rule{1, "tensor_name", Kind::text},
    Rule{2, "quant_parameter_tensor_names", Kind::message, kMany, Message::entry},
};
constexpr std::array kValue = {
    Rule{1, "name", Kind::text},
    Rule{2, "type", Kind::message, false, Message::type},
    Rule{3, "doc_string", Kind::text},
    Rule{4, "metadata_props", Kind::message, kMany, Message::entry},
};
constexpr std::array kType = {
    Rule{1, "tensor_type", Kind::message, false, Message::tensor_type},
    Rule{4, "sequence_type", Kind::message, false, Message::sequence_type},
    Rule{5, "map_type", Kind::message, false, Message::map_type},
    Rule{6, "denotation", Kind::text},
    Rule{7, "opaque_type", Kind::refused},
    Rule{8, "sparse_tensor_type", Kind::refused},
    Rule{9, "optional_type", Kind::message, false, Message::optional_type},
};
constexpr std::array kTensorType = {
    Rule{1, "elem_type", Kind::number},
    Rule{2, "shape", Kind::message, false, Message::shape},
};
constexpr std::array kShape = {
    Rule{1, "dim", Kind::message, kMany, Message::dimension},
};
constexpr std::array kDimension = {
    Rule{1, "dim_value", Kind::number},
    Rule{2, "dim_param", Kind::text},
    Rule{3, "denotation", Kind::text},
};
// One type inside: of a sequence, or of what may be missing.
constexpr std::array kWrapped = {
    Rule{1, "elem_type", Kind::message, false, Message::type},
};
constexpr std::array kMapType = {
    Rule{1, "key_type", Kind::number},
    Rule{2, "value_type", Kind::message, false, Message::type},
};

}  // namespace

std::span<const Rule> rules_of(Message message) noexcept {
  switch (message) {
    case Message::model:
      return kModel;
    case Message::opset:
      return kOpset;
    case Message::entry:
      return kEntry;
    case Message::graph:
      return kGraph;
    case Message::node:
      return kNode;
    case Message::attribute:
      return kAttribute;
    case Message::tensor:
      return kTensor;
    case Message::annotation:
      return kAnnotation;
    case Message::value:
      return kValue;
    case Message::type:
      return kType;
    case Message::tensor_type:
      return kTensorType;
    case Message::shape:
      return kShape;
    case Message::dimension:
      return kDimension;
    case Message::sequence_type:
    case Message::optional_type:
      return kWrapped;
    case Message::map_type:
      return kMapType;
    case Message::none:
      break;
  }
  return {};
}

std::string_view name_of(Message message) noexcept {
  switch (message) {
    case Message::model:
      return "ModelProto";
    case Message::opset:
      return "OperatorSetIdProto";
    case Message::entry:
      return "StringStringEntryProto";
    case Message::graph:
      return "GraphProto";
    case Message::node:
      return "NodeProto";
    case Message::attribute:
      return "AttributeProto";
    case Message::tensor:
      return "TensorProto";
    case Message::annotation:
      return "TensorAnnotation";
    case Message::value:
      return "ValueInfoProto";
    case Message::type:
      return "TypeProto";
    case Message::tensor_type:
      return "TypeProto.Tensor";
    case Message::shape:
      return "TensorShapeProto";
    case Message::dimension:
      return "TensorShapeProto.Dimension";
    case Message::sequence_type:
      return "TypeProto.Sequence";
    case Message::map_type:
      return "TypeProto.Map";
    case Message::optional_type:
      return "TypeProto.Optional";
    case Message::none:
      break;
  }
  return "a message";
}

}  // namespace edge_runner
