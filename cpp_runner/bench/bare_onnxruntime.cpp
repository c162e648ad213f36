// The least that a program must do to run an ONNX file: no bundle, no checks, no copies.
#define ORT_API_MANUAL_INIT
#include <dlfcn.h>
#include <onnxruntime_cxx_api.h>
#include <onnxruntime_session_options_config_keys.h>

#include <cstdlib>

#include "bare.hpp"

int main(int, char** argv) {
  bare::Arguments given(argv);
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);  // nothing of ours calls home
  void* library = dlopen(ONNXRUNTIME_LIBRARY, RTLD_NOW);
  const auto get = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  Ort::InitApi(get()->GetApi(ORT_API_VERSION));
  const auto start = bare::Clock::now();
  const Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "bare");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.AddConfigEntry(kOrtSessionOptionsConfigAllowIntraOpSpinning, "0");
  Ort::Session session(nullptr);
  {
    const std::vector<char> file = bare::read(given.model);
    session = Ort::Session(env, file.data(), file.size(), options);
  }
  const double load_ms = bare::ms_since(start);

  const Ort::AllocatorWithDefaultOptions allocator;
  const auto input_name = session.GetInputNameAllocated(0, allocator);
  const auto output_name = session.GetOutputNameAllocated(0, allocator);
  const char* input = input_name.get();
  const char* output = output_name.get();
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const auto value = Ort::Value::CreateTensor(
      memory, given.input.data(), given.input.size(), given.shape.data(), given.shape.size(),
      given.bytes ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  bare::measure(load_ms, given.seconds,
                [&] { session.Run(Ort::RunOptions{nullptr}, &input, &value, 1, &output, 1); });
}
