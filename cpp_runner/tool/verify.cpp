#include <algorithm>
#include <iostream>

#include "tool/commands.hpp"
#include "tool/golden.hpp"
#include "tool/print.hpp"

namespace edge_runner::tool {
namespace {

// One artifact in one runtime. Without a backend for it here it is skipped: nobody has tried.
struct Row {
  const Artifact& artifact;
  bool skipped = false;
  Judged judged{};
  std::optional<About> about{};
};

Json figures_json(const Figures& figures) {
  return {{"max_abs", to_json(figures.max_abs)},
          {"max_rel", to_json(figures.max_rel)},
          {"cosine", to_json(figures.cosine)},
          {"sqnr_db", to_json(figures.sqnr_db)},
          {"top1", to_json(figures.top1)}};
}

std::string runtime_of(const Row& row) {
  if (row.about) return "cpp-" + std::string(to_string(row.about->backend));
  return row.artifact.format == Format::onnx ? "cpp-onnxruntime" : "cpp-libtorch";
}

// The output whose figures stand for the row: one that fails, else the least exact.
const Figures* decisive(const Judged& judged) {
  const auto worse = [](const Figures& a, const Figures& b) {
    return std::pair(!a.reasons.empty(), a.max_rel.value_or(0)) <
           std::pair(!b.reasons.empty(), b.max_rel.value_or(0));
  };
  const auto worst = std::max_element(judged.outputs.begin(), judged.outputs.end(), worse);
  return worst == judged.outputs.end() ? nullptr : &*worst;
}

std::string verdict_of(const Row& row) {
  return row.skipped ? "skipped" : std::string(to_string(row.judged.verdict));
}

Json row_json(const Row& row, const std::vector<Port>& outputs) {
  Json json = {{"artifact", row.artifact.id},         {"format", to_string(row.artifact.format)},
               {"precision", row.artifact.precision}, {"runtime", runtime_of(row)},
               {"verdict", verdict_of(row)},          {"reasons", row.judged.reasons}};
  const Figures* head = decisive(row.judged);
  json.update(figures_json(head != nullptr ? *head : Figures{}));
  json["outputs"] = Json::array();
  for (std::size_t i = 0; i < row.judged.outputs.size(); ++i) {
    json["outputs"].push_back({{"name", outputs[i].name}});
    json["outputs"].back().update(figures_json(row.judged.outputs[i]));
  }
  json["runner"] = row.about ? to_json(*row.about) : Json(nullptr);
  return json;
}

void print_row(const Row& row, std::size_t width) {
  const Figures* head = decisive(row.judged);
  const auto cell = [](const std::optional<double>& value) {
    return padded(value ? number(*value) : "–", value ? 11 : 13);  // the dash has three bytes
  };
  const Figures figures = head != nullptr ? *head : Figures{};
  std::cout << padded(row.artifact.id, width + 2) << padded(runtime_of(row), 17)
            << padded(verdict_of(row), 14) << cell(figures.max_abs) << cell(figures.max_rel)
            << cell(figures.sqnr_db) << cell(figures.top1) << '\n';
  for (const std::string& reason : row.judged.reasons) std::cout << "    " << reason << '\n';
}

// Errors of the bundle and of the whole machine are given back; what is the artifact's is its row.
Result<Row> row_for(const Bundle& bundle, const Artifact& artifact, Options options, bool named) {
  options.artifact = artifact.id;
  options.allow_failed = true;  // this is how one finds out
  const auto runner = Runner::open(bundle, options);
  if (!runner) {
    const Error& error = runner.error();
    if (error.code == Code::no_backend && !named) {
      return Row{artifact, true, {Verdict::inconclusive, {error.message}, {}}, {}};
    }
    if (error.code != Code::backend_failed) return error;
    return Row{artifact, false, {Verdict::fail, {error.message}, {}}, {}};
  }
  for (const std::string& warning : runner->warnings()) warn(warning);
  auto judged = judge(*runner);
  if (!judged) return judged.error();
  return Row{artifact, false, *std::move(judged), runner->about()};
}

bool reads(Backend backend, Format format) {
  if (backend == Backend::onnxruntime) return format == Format::onnx;
  if (backend == Backend::libtorch) return format == Format::torchscript;
  return true;
}

// All that was asked for: one artifact, those of a backend, or every one.
std::vector<const Artifact*> asked_for(const Bundle& bundle, const Options& options) {
  std::vector<const Artifact*> found;
  for (const Artifact& artifact : bundle.manifest().artifacts) {
    const bool named = options.artifact.empty() || options.artifact == artifact.id;
    if (named && reads(options.backend, artifact.format)) found.push_back(&artifact);
  }
  return found;
}

Error none_of(const Bundle& bundle, const Options& options) {
  std::string said = "there is no artifact";
  if (!options.artifact.empty()) said += " '" + options.artifact + "'";
  if (options.backend != Backend::automatic) {
    said += " for " + std::string(to_string(options.backend));
  }
  said += "; there are:";
  for (const Artifact& artifact : bundle.manifest().artifacts) said += " " + artifact.id;
  return {Code::no_such_artifact, said};
}

// pass if all that could be tried pass, and something could.
Verdict verdict_over(const std::vector<Row>& rows) {
  bool tried = false, open = false;
  for (const Row& row : rows) {
    if (row.skipped) continue;
    if (row.judged.verdict == Verdict::fail) return Verdict::fail;
    open |= row.judged.verdict == Verdict::inconclusive;
    tried = true;
  }
  return tried && !open ? Verdict::pass : Verdict::inconclusive;
}

}  // namespace

int verify(const Common& common) {
  const auto bundle = Bundle::open(common.bundle);
  if (!bundle) return fail(bundle.error(), common.json);
  const auto intact = bundle->check_files();
  if (!intact) return fail(intact.error(), common.json);
  const bool named =
      !common.options.artifact.empty() || common.options.backend != Backend::automatic;
  const auto artifacts = asked_for(*bundle, common.options);
  if (artifacts.empty()) return fail(none_of(*bundle, common.options), common.json);
  std::vector<Row> rows;
  for (const Artifact* artifact : artifacts) {
    auto row = row_for(*bundle, *artifact, common.options, named);
    if (!row) return fail(row.error(), common.json);
    rows.push_back(*std::move(row));
  }
  if (std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.skipped; })) {
    return fail({Code::no_backend, rows.front().judged.reasons.front()}, common.json);
  }
  const Manifest& manifest = bundle->manifest();
  const Verdict verdict = verdict_over(rows);
  if (common.json) {
    Json json = {{"verdict", to_string(verdict)},
                 {"bundle", manifest.name},
                 {"digest", manifest.digest},
                 {"samples", manifest.golden.size()},
                 {"rows", Json::array()}};
    for (const Row& row : rows) json["rows"].push_back(row_json(row, manifest.outputs));
    print(json);
  } else {
    std::size_t width = 8;
    for (const Row& row : rows) width = std::max(width, row.artifact.id.size());
    std::cout << padded("artifact", width + 2)
              << "runtime          verdict       max abs    max rel    SQNR (dB)  top-1\n";
    for (const Row& row : rows) print_row(row, width);
    const auto skipped =
        std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.skipped; });
    std::cout << manifest.golden.size() << " golden samples: " << to_string(verdict);
    if (skipped != 0) std::cout << ", " << skipped << " of " << rows.size() << " artifacts skipped";
    std::cout << '\n';
  }
  return verdict == Verdict::pass ? Exit::done : Exit::not_passed;
}

}  // namespace edge_runner::tool
