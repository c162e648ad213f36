#include <CLI/CLI.hpp>
#include <iostream>
#include <new>

#include "tool/commands.hpp"
#include "tool/print.hpp"

namespace {

using edge_runner::tool::Common;

edge_runner::Backend backend_named(const std::string& name) {
  using enum edge_runner::Backend;
  for (const auto backend : {onnxruntime, libtorch, null}) {
    if (to_string(backend) == name) return backend;
  }
  return automatic;
}

// What every command takes.
CLI::App* command(CLI::App& app, Common& common, const std::string& name, const std::string& what) {
  CLI::App* sub = app.add_subcommand(name, what);
  edge_runner::Options& options = common.options;
  sub->add_option("BUNDLE", common.bundle, "Folder of the bundle")->required();
  sub->add_option("--artifact", options.artifact, "Id of the artifact");
  sub->add_option_function<std::string>(
         "--backend", [&](const std::string& given) { options.backend = backend_named(given); },
         "What runs it: by default what reads its format")
      ->check(CLI::IsMember({"onnxruntime", "libtorch", "null"}));
  sub->add_option("--threads", options.threads, "Threads of one run; 0: all cores")
      ->capture_default_str();
  sub->add_flag("--spinning", options.spinning, "Idle threads of ONNX Runtime burn their core");
  sub->add_flag("--allow-failed", options.allow_failed, "Take an artifact that did not pass");
  return sub;
}

void add_json(CLI::App* sub, Common& common) { sub->add_flag("--json", common.json, "Print JSON"); }

int dispatch(int argc, char** argv) {
  CLI::App app("Runs bundles: a model in several formats, with samples and what was measured.",
               "edge-runner");
  app.set_version_flag("--version", EDGE_RUNNER_VERSION);
  app.require_subcommand(1);
  Common common;
  edge_runner::tool::RunOptions run_options;
  edge_runner::tool::BenchOptions bench_options;

  CLI::App* info = command(app, common, "info", "What a bundle holds, and what runs here");
  add_json(info, common);
  CLI::App* verify =
      command(app, common, "verify",
              "Every artifact on the golden samples; exit 1 unless the verdict is pass");
  add_json(verify, common);
  CLI::App* run = command(app, common, "run", "Answers for files");
  add_json(run, common);
  run->add_option(
         "FILES", run_options.files,
         ".png, .jpg, .npy, or raw numbers; one for each input of the model, sample by sample")
      ->required();
  run->add_option("--batch", run_options.batch, "Samples at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  run->add_option("--top", run_options.top, "Classes to show")->capture_default_str();
  run->add_option("--shape", run_options.shape, "Of raw numbers: 1,28,28,1")->delimiter(',');
  run->add_option("--out", run_options.out, "Folder for the outputs as .npy");
  CLI::App* bench = command(app, common, "bench", "How long a run takes");
  add_json(bench, common);
  bench->add_option("--runs", bench_options.runs, "At least so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  bench->add_option("--seconds", bench_options.seconds, "At least so long")->capture_default_str();
  bench->add_flag_callback(
      "--quick", [&] { bench_options.seconds = 2.0; }, "--seconds 2: for a first look");
  bench->add_option("--seed", bench_options.seed, "Of the draw of samples")->capture_default_str();
  bench->add_option("--warm-up", bench_options.warm_seconds, "Seconds before")
      ->capture_default_str();
  bench->add_option("--warm-up-runs", bench_options.warm_runs, "At least so many before")
      ->capture_default_str();
  bench->add_option("--batch", bench_options.batch, "Samples at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI::App* exec = command(app, common, "exec", "Answers frames on the standard input");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? int{edge_runner::tool::done} : int{edge_runner::tool::usage};
  }
  if (info->parsed()) return edge_runner::tool::info(common);
  if (verify->parsed()) return edge_runner::tool::verify(common);
  if (run->parsed()) return edge_runner::tool::run(common, run_options);
  if (bench->parsed()) return edge_runner::tool::bench(common, bench_options);
  if (exec->parsed()) return edge_runner::tool::exec(common);
  return edge_runner::tool::mistake;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const int code = dispatch(argc, argv);
    if (!std::cout.flush()) {
      std::cerr << "edge-runner: the standard output cannot be written\n";
      return edge_runner::tool::machine;
    }
    return code;
  } catch (const std::bad_alloc&) {
    std::cerr << "edge-runner: out of memory\n";
    return edge_runner::tool::machine;
  } catch (const std::exception& error) {
    std::cerr << "edge-runner: a mistake of this program: " << error.what() << '\n';
    return edge_runner::tool::mistake;
  }
}
