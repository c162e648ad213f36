#include "pickle_globals.hpp"

#include <array>

namespace edge_runner {
namespace {

struct StorageType {
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array kStorages = {
    StorageType{"torch.ByteStorage", 1},         StorageType{"torch.CharStorage", 1},
    StorageType{"torch.ShortStorage", 2},        StorageType{"torch.IntStorage", 4},
    StorageType{"torch.LongStorage", 8},         StorageType{"torch.HalfStorage", 2},
    StorageType{"torch.FloatStorage", 4},        StorageType{"torch.DoubleStorage", 8},
    StorageType{"torch.BoolStorage", 1},         StorageType{"torch.BFloat16Storage", 2},
    StorageType{"torch.ComplexFloatStorage", 8}, StorageType{"torch.ComplexDoubleStorage", 16},
    StorageType{"torch.QInt8Storage", 1},        StorageType{"torch.QUInt8Storage", 1},
    StorageType{"torch.QInt32Storage", 4},
};

struct Function {
  std::string_view name;
  PickleFunction function;
};

constexpr std::array kFunctions = {
    Function{"collections.OrderedDict", PickleFunction::ordered_dict},
    Function{"torch.jit._pickle.build_intlist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_tensorlist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_doublelist", PickleFunction::list_of},
    Function{"torch.jit._pickle.build_boollist", PickleFunction::list_of},
    Function{"torch.jit._pickle.restore_type_tag", PickleFunction::type_tag},
    Function{"builtins.complex", PickleFunction::complex},
    Function{"torch._utils._rebuild_tensor_v2", PickleFunction::tensor},
    Function{"torch._utils._rebuild_qtensor", PickleFunction::quantized_tensor},
};

constexpr std::array<std::string_view, 2> kSchemes = {"torch.per_tensor_affine",
                                                      "torch.per_channel_affine"};

}  // namespace

bool find_pickle_global(std::string_view name, PickleValue& value) {
  for (const Function& each : kFunctions) {
    if (each.name != name) continue;
    value.kind = PickleKind::function;
    value.function = each.function;
    return true;
  }
  for (const StorageType& each : kStorages) {
    if (each.name != name) continue;
    value.kind = PickleKind::storage_type;
    value.number = each.bytes;
    return true;
  }
  for (std::size_t i = 0; i < kSchemes.size(); ++i) {
    if (kSchemes[i] != name) continue;
    value.kind = PickleKind::scheme;
    value.number = static_cast<std::int64_t>(i);
    return true;
  }
  return false;
}

}  // namespace edge_runner
