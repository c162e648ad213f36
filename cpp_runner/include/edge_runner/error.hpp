// Every way to fail, and `Result`, which carries it. Nothing of this library throws or exits.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace edge_runner {

// The first block is the refusals of docs/bundle-format.md: the same bundle gets the same code from
// every reader. `to_string` gives the names of that page ("wrong-hash").
enum class Code : int {
  ok = 0,

  not_a_bundle = 100,
  link,
  hard_link,
  not_a_file,
  unsafe_name,
  case_collision,
  too_deep,
  too_many_files,
  empty_folder,
  manifest_too_large,
  not_utf8,
  not_json,
  nested_too_deep,
  duplicate_key,
  unsupported_schema,
  unknown_key,
  missing_key,
  bad_value,
  tensor_too_large,
  listed_twice,
  inconsistent,
  unlisted_file,
  missing_file,
  wrong_size,
  wrong_hash,

  // What is wrong with a model file, found before a backend sees a byte of it.
  unsafe_model = 200,

  cannot_read = 300,    // no such folder, no permission, a failing disk
  no_such_artifact,     // the bundle has no artifact of that id
  no_fitting_artifact,  // none passed, or none is for a backend that is here
  no_backend,           // not built in, or its library is not on this machine
  backend_failed,       // it did not take the model, or a run failed
  bad_input,            // number, name, dtype, rank or shape are not the signature's
  bad_output,           // not what the signature says
  not_finite,           // an output has NaN or infinity
  closed,
  bad_argument,
  out_of_memory,

  internal = 900,  // a mistake of this library, not of the bundle, the input or the machine
};

[[nodiscard]] std::string_view to_string(Code code) noexcept;

// What went wrong, for a program (`code`) and for a person (`message`: one line that names the
// file, key or tensor, and the remedy where there is one).
struct Error {
  Code code = Code::internal;  // whoever forgets it has made a mistake
  std::string message;
};

// A value or an Error. `if (result)` asks; `*result` and `result->` take the value, `error()` the
// other. Asking for the one that is not there is undefined, as with std::optional.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }
  const Error& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

// Success without a value is `Done{}`.
struct Done {};

}  // namespace edge_runner
