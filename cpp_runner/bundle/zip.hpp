// The zip archive of a TorchScript file, as strictly as torch's own writer writes it: every byte of
// the file belongs to one record or is padding, and what is said twice is the same.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <string_view>
#include <vector>

namespace edge_runner {

struct Record {
  std::string_view name;  // without the top folder: "data.pkl", "code/__torch__/net.py"
  std::string_view bytes;
};

// The records, in the order of the file; nothing is copied. Throws Failure (unsafe_model).
[[nodiscard]] std::vector<Record> read_archive(std::string_view file);

}  // namespace edge_runner
