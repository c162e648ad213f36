#include "runner/modules.hpp"
#include "bundle/failure.hpp"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <string>
#include <system_error>

#include "runner/folders.hpp"  // where the libraries were when this was configured
#include "runner/telemetry.hpp"

namespace edge_runner {
namespace {

namespace fs = std::filesystem;

struct Row {
  Backend backend;
  Format format;
  const char* name;        // for people
  const char* module;      // file name
  const char* library;     // file name, or how it begins where a version follows
  const char* variable;    // of the environment
  const char* built_with;  // folder, may be empty
};

constexpr std::array rows = {
    Row{Backend::onnxruntime, Format::onnx, "ONNX Runtime", "libedge_backend_onnxruntime.so",
        "libonnxruntime.so", "EDGE_RUNNER_ONNXRUNTIME", onnxruntime_folder},
    Row{Backend::libtorch, Format::torchscript, "LibTorch", "libedge_backend_libtorch.so",
        "libtorch_cpu.so", "EDGE_RUNNER_LIBTORCH", libtorch_folder},
};

const Row* row_of(Backend backend) {
  for (const Row& row : rows) {
    if (row.backend == backend) return &row;
  }
  return nullptr;
}

// The folder of the file that this code is in.
fs::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&row_of), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  std::error_code ignored;
  return fs::canonical(info.dli_fname, ignored).parent_path();
}

// A file of that name, or of that name and a version (`libonnxruntime.so.1.29.0`): the last of
// them.
fs::path find_in(const fs::path& folder, const std::string& name) {
  std::error_code error;
  if (folder.empty()) return {};
  if (fs::is_regular_file(folder / name, error)) return folder / name;
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(name + ".")) {
      found = std::max(found, entry.path());
    }
  }
  return found;
}

std::vector<fs::path> folders_for(const Row& row) {
  std::vector<fs::path> folders = {own_folder(), row.built_with};
  if (const char* given = std::getenv("LD_LIBRARY_PATH")) {
    std::istringstream list{given};
    for (std::string part; std::getline(list, part, ':');) folders.emplace_back(part);
  }
  for (const char* system :
       {"/usr/local/lib", "/usr/lib/" EDGE_MULTIARCH, "/usr/lib64", "/usr/lib"}) {
    folders.emplace_back(system);
  }
  return folders;
}

Error missing_library(const Row& row, const std::string& where) {
  return {Code::no_backend, std::string(row.name) + " is not here: no " + row.library + " in " +
                                where + "; let " + row.variable + " name the folder that has it"};
}

Result<fs::path> find_library(const Row& row) {
  if (const char* given = std::getenv(row.variable); given != nullptr && *given != '\0') {
    std::error_code ignored;
    if (fs::is_regular_file(given, ignored)) return fs::path(given);
    fs::path found = find_in(given, row.library);
    if (found.empty()) return missing_library(row, std::string(row.variable) + ", " + given);
    return found;
  }
  for (const fs::path& folder : folders_for(row)) {
    fs::path found = find_in(folder, row.library);
    if (!found.empty()) return found;
  }
  return missing_library(row, "any folder of libraries");
}

Error not_loaded(const Row& row) {
  const char* said = dlerror();
  return {Code::no_backend,
          std::string(row.name) + " cannot be loaded: " + (said != nullptr ? said : "no reason")};
}

// The library by its path, the module then: that needs it by name, and finds it there already.
Result<Loaded> load_files(const Row& row, const Found& files) {
  // Once more: the program may have taken it out of its environment since this library was loaded.
  if (!telemetry_off()) return Error{Code::out_of_memory, "out of memory"};
  void* library = dlopen(files.library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) return not_loaded(row);
  void* handle = dlopen(files.module.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) return not_loaded(row);
  const auto* module = static_cast<const Module*>(dlsym(handle, module_symbol));
  if (module == nullptr || module->version != module_version) {
    return Error{Code::no_backend, files.module.string() + " is of another build; install anew"};
  }
  return Loaded{module->open, library};
}

}  // namespace

Backend backend_of(Format format) noexcept {
  for (const Row& row : rows) {
    if (row.format == format) return row.backend;
  }
  return Backend::null;
}

Result<Found> find_backend(Backend backend) {
  const Row* row = row_of(backend);
  if (row == nullptr) return Found{};
  fs::path module = find_in(own_folder(), row->module);
  if (module.empty()) {
    return Error{Code::no_backend, "this build has no backend for " + std::string(row->name) +
                                       ": no " + row->module + " beside its library"};
  }
  auto library = find_library(*row);
  if (!library) return library.error();
  return Found{std::move(module), *std::move(library)};
}

Result<Loaded> load(Backend backend) {
  const Row* row = row_of(backend);
  if (row == nullptr) return Loaded{&open_null, nullptr};
  const auto files = find_backend(backend);
  if (!files) return files.error();
  return load_files(*row, *files);
}

std::string_view to_string(Backend backend) noexcept {
  switch (backend) {
    case Backend::automatic:
      return "automatic";
    case Backend::onnxruntime:
      return "onnxruntime";
    case Backend::libtorch:
      return "libtorch";
    case Backend::null:
      return "null";
  }
  return "unknown";
}

std::vector<Backend> available_backends() noexcept {
  std::vector<Backend> found;
  try {
    for (const Row& row : rows) {
      if (find_backend(row.backend)) found.push_back(row.backend);
    }
    found.push_back(Backend::null);
  } catch (...) {
    return found;  // no memory for the rest of the list
  }
  return found;
}

Result<Done> load_backend(Backend backend) noexcept {
  try {
    if (backend == Backend::automatic) {
      return Error{Code::bad_argument, "name a backend to load"};
    }
    const auto loaded = load(backend);
    if (!loaded) return loaded.error();
    return Done{};
  } catch (const std::bad_alloc&) {
    return Error{Code::out_of_memory, "out of memory"};
  } catch (const std::exception& error) {
    return mistake(error.what());
  }
}

}  // namespace edge_runner
