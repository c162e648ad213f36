#include "runner/choice.hpp"

#include <algorithm>

#include "runner/cpu.hpp"
#include "runner/modules.hpp"

namespace edge_runner {
namespace {

bool fits_this_cpu(const Artifact& artifact) {
  return artifact.made_for == "any" || artifact.made_for == this_cpu();
}

Result<Done> check(const Options& options) {
  if (options.threads < 0 || options.threads > most_threads) {
    return Error{Code::bad_argument, "threads is " + std::to_string(options.threads) +
                                         "; 0 (all cores) to " + std::to_string(most_threads)};
  }
  return Done{};
}

// The backend for a format, if the options allow it.
Result<Backend> backend_for(const Artifact& artifact, const Options& options) {
  if (options.backend == Backend::null) return Backend::null;
  const Backend reads = backend_of(artifact.format);
  if (options.backend != Backend::automatic && options.backend != reads) {
    return Error{Code::no_fitting_artifact, artifact.id + " is for " +
                                                std::string(to_string(reads)) + ", not for " +
                                                std::string(to_string(options.backend))};
  }
  const auto found = find_backend(reads);
  if (!found) return found.error();
  return reads;
}

std::vector<std::string> warnings_for(const Manifest& manifest, const Artifact& artifact) {
  std::vector<std::string> warnings;
  if (artifact.verdict != Verdict::pass) {
    warnings.push_back("The verdict of " + artifact.id + " is " +
                       std::string(to_string(artifact.verdict)) + ".");
  }
  if (!fits_this_cpu(artifact)) {
    warnings.push_back(artifact.id + " was made for " + artifact.made_for + "; on " +
                       std::string(this_cpu()) + " it may be slow or less exact.");
  } else if (artifact.precision == "int8" && artifact.made_for == "x86_64" &&
             std::any_of(manifest.verified.flags.begin(), manifest.verified.flags.end(),
                         [](const std::string& flag) { return is_vnni(flag); }) &&
             !has_vnni()) {
    warnings.push_back(artifact.id +
                       " was verified on a CPU with VNNI, which this one lacks: sums of its int8 "
                       "products may saturate.");
  }
  return warnings;
}

Result<Choice> take_named(const Bundle& bundle, const Options& options) {
  const Artifact* artifact = bundle.artifact(options.artifact);
  if (artifact == nullptr) {
    std::string known;
    for (const Artifact& one : bundle.manifest().artifacts) known += " " + one.id;
    return Error{Code::no_such_artifact,
                 "there is no artifact '" + options.artifact + "'; there are:" + known};
  }
  if (artifact->verdict != Verdict::pass && !options.allow_failed) {
    return Error{Code::no_fitting_artifact, "the verdict of " + artifact->id + " is " +
                                                std::string(to_string(artifact->verdict)) +
                                                "; allow_failed runs it all the same"};
  }
  const auto backend = backend_for(*artifact, options);
  if (!backend) return backend.error();
  return Choice{artifact, *backend, warnings_for(bundle.manifest(), *artifact)};
}

// The first of those that may be taken, in the bundle's order: its writer knows which is faster.
Result<Choice> take_first(const Bundle& bundle, const Options& options) {
  Error last{Code::no_fitting_artifact, ""};
  for (const bool passed : {true, false}) {
    if (!passed && !options.allow_failed) break;
    for (const Artifact& artifact : bundle.manifest().artifacts) {
      if ((artifact.verdict == Verdict::pass) != passed || !fits_this_cpu(artifact)) continue;
      const auto backend = backend_for(artifact, options);
      if (backend) {
        return Choice{&artifact, *backend, warnings_for(bundle.manifest(), artifact)};
      }
      if (last.message.empty() || backend.error().code == Code::no_backend) last = backend.error();
    }
  }
  if (last.message.empty()) {
    last.message = "no artifact has the verdict pass and is for " + std::string(this_cpu()) +
                   "; name one to run it all the same";
  }
  return last;
}

}  // namespace

Result<Choice> choose_artifact(const Bundle& bundle, const Options& options) {
  const auto checked = check(options);
  if (!checked) return checked.error();
  return options.artifact.empty() ? take_first(bundle, options) : take_named(bundle, options);
}

}  // namespace edge_runner
