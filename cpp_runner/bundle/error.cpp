#include "edge_runner/error.hpp"

#include <array>
#include <cstddef>

#include "bundle/failure.hpp"

namespace edge_runner {
namespace {

struct Name {
  Code code;
  std::string_view text;
};

constexpr std::array kNames = {
    Name{Code::ok, "ok"},
    Name{Code::not_a_bundle, "not-a-bundle"},
    Name{Code::link, "link"},
    Name{Code::hard_link, "hard-link"},
    Name{Code::not_a_file, "not-a-file"},
    Name{Code::unsafe_name, "unsafe-name"},
    Name{Code::case_collision, "case-collision"},
    Name{Code::too_deep, "too-deep"},
    Name{Code::too_many_files, "too-many-files"},
    Name{Code::empty_folder, "empty-folder"},
    Name{Code::manifest_too_large, "manifest-too-large"},
    Name{Code::not_utf8, "not-utf8"},
    Name{Code::not_json, "not-json"},
    Name{Code::nested_too_deep, "nested-too-deep"},
    Name{Code::duplicate_key, "duplicate-key"},
    Name{Code::unsupported_schema, "unsupported-schema"},
    Name{Code::unknown_key, "unknown-key"},
    Name{Code::missing_key, "missing-key"},
    Name{Code::bad_value, "bad-value"},
    Name{Code::tensor_too_large, "tensor-too-large"},
    Name{Code::listed_twice, "listed-twice"},
    Name{Code::inconsistent, "inconsistent"},
    Name{Code::unlisted_file, "unlisted-file"},
    Name{Code::missing_file, "missing-file"},
    Name{Code::wrong_size, "wrong-size"},
    Name{Code::wrong_hash, "wrong-hash"},
    Name{Code::unsafe_model, "unsafe-model"},
    Name{Code::cannot_read, "cannot-read"},
    Name{Code::no_such_artifact, "no-such-artifact"},
    Name{Code::no_fitting_artifact, "no-fitting-artifact"},
    Name{Code::no_backend, "no-backend"},
    Name{Code::backend_failed, "backend-failed"},
    Name{Code::bad_input, "bad-input"},
    Name{Code::bad_output, "bad-output"},
    Name{Code::not_finite, "not-finite"},
    Name{Code::closed, "closed"},
    Name{Code::bad_argument, "bad-argument"},
    Name{Code::out_of_memory, "out-of-memory"},
    Name{Code::internal, "internal"},
};

constexpr std::size_t kShown = 128;

}  // namespace

std::string_view to_string(Code code) noexcept {
  for (const Name& name : kNames) {
    if (name.code == code) return name.text;
  }
  return "internal";
}

std::string quoted(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string shown = "'";
  for (const char letter : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += letter;
    } else {
      shown += "\\x";
      shown += digits[byte >> 4U];
      shown += digits[byte & 15U];
    }
  }
  return shown + (text.size() > kShown ? "...'" : "'");
}

}  // namespace edge_runner
