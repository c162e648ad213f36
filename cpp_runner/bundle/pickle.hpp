// The pickles of a TorchScript archive, run as torch's unpickler would, on descriptions of values
// instead of values: nothing is made, and what the archive claims is held against what it has.
// https://docs.python.org/3/library/pickletools.html has the opcodes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace edge_runner {

// What a pickle may refer to: the rest of its archive.
struct PickleWorld {
  // Bytes of the record with a tensor's numbers, by its key ("0"); false if there is none.
  std::function<bool(std::string_view key, std::uint64_t& bytes)> storage;
  // Whether a qualified name ("__torch__.net.Net") is of a class that the archive or torch has.
  std::function<bool(std::string_view name)> has_class;
};

// Throws Failure (unsafe_model), its message beginning with `name`, unless the pickle is one value,
// made with the opcodes and functions of torch's own unpickler, whose tensors lie within their
// storages.
void check_pickle(std::string_view name, std::string_view bytes, const PickleWorld& world);

}  // namespace edge_runner
