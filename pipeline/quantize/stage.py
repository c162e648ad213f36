"""What the quantize stage does: every recipe is applied, read back, and run once."""

import shutil
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import threads_or_all
from pipeline.errors import DamagedError, UsageError
from pipeline.formats.torchscript import android_pytorch
from pipeline.graph.signature import Signature
from pipeline.quantize.calibration import all_alike, one_batch
from pipeline.quantize.coverage import Coverage, check_changed, coverage_of, kinds_of
from pipeline.quantize.exclude_patterns import PREFIX, check_patterns
from pipeline.quantize.recipes import (
    RECIPES,
    Choice,
    Quantized,
    Recipe,
    Skipped,
    Task,
    choose,
    searched,
)
from pipeline.quantize.search.auto import auto, targets
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.gate import GATED, gate
from pipeline.quantize.search.outcome import Outcome
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system import machine
from pipeline.system.progress import Bar, Reporter, Silent
from pipeline.workspace.artifacts import (
    SIGNATURE,
    Artifact,
    Format,
    artifact_id,
    file_name,
    read_index,
    read_signature,
    sha256_of,
    write_index,
    write_json,
)
from pipeline.workspace.stage import Job, Summary

REPORT = "quantize.json"


def quantize(job: Job) -> Summary:
    """As `pipeline.quantize.run` says. The summary has the seconds, the files have none."""
    export = job.inputs["export"]
    sources = [artifact for artifact in read_index(export) if artifact.precision == "fp32"]
    signature = read_signature(export)
    if not signature.inputs:
        raise DamagedError(f"{export / SIGNATURE} names no input.", "Run export with --force.")
    choices, skipped = choose(job.config, sources)
    found, also = searched(job.config, sources)
    skipped += also
    for skip in skipped:
        job.report.warn(f"{skip.format}: {skip.recipe} left out: {skip.reason}.")
    if found or any(choice.recipe.calibrates for choice in choices):
        _tell_of_samples(job)
    _check_excludes(job, [choice.source for choice in choices] + found)
    made, searches = Made([], {}, {}), _search(job, found, signature)
    for outcome in searches:
        if outcome.file is not None:
            made.add(*_ship(job, outcome, signature), outcome.found["seconds"])
    skipped += _named(job, choices, signature, made, searches)
    report = {
        "artifacts": made.coverage,
        "skipped": [vars(skip) for skip in skipped],
        "searches": [outcome.found for outcome in searches],
        "candidates": [point for outcome in searches for point in outcome.points],
    }
    shutil.rmtree(job.scratch / "search", ignore_errors=True)
    write_index(job.out, made.artifacts)
    write_json(job.out / REPORT, report)
    brief = {key: report[key] for key in ("artifacts", "skipped")}
    said = {_subject(outcome): outcome.why for outcome in searches}
    headline = ", ".join(made.coverage) or "float alone ships"
    return {**brief, "headline": headline, "seconds": made.seconds, "why": said}


def _named(
    job: Job, choices: list[Choice], signature: Signature, made: "Made", searches: list[Outcome]
) -> list[Skipped]:
    """Adds what the named recipes make to `made` and `searches`; gives what is left out.

    Raises UsageError for a recipe that its own format, or none of the formats, can take.
    """
    evaluators: dict[Format, Evaluator] = {}  # fp32 answers the gate's samples once for each format
    refused: dict[str, UsageError] = {}  # by recipe: what the first format said
    taken: set[str] = set()
    skipped = []
    for choice in choices:
        name = choice.recipe.name
        if choice.artifact_id in made.coverage:
            taken.add(name)
            job.report.note(f"{choice.artifact_id} is what auto has made; named, it is made once.")
            continue
        start = time.perf_counter()
        try:
            artifact, coverage, passage = _apply(job, choice, signature, evaluators)
        except UsageError as error:
            if choice.strict:
                raise
            refused.setdefault(name, error)
            skipped.append(_skip(job, choice, error))
            continue
        taken.add(name)
        if passage is not None:
            searches.append(passage)
        if passage is not None and passage.file is None:
            why = f"{artifact.format}: {passage.why}"
            job.report.warn(f"{why} With [quantize] gate = false it would all the same.")
            continue
        made.add(artifact, choice.source, coverage, time.perf_counter() - start)
        job.report.note(f"{artifact.file}: {coverage}")
    for name, said in refused.items():
        if name not in taken:
            raise said
    return skipped


def _skip(job: Job, choice: Choice, error: UsageError) -> Skipped:
    """A recipe that was named without a format is left out of those that cannot take it."""
    recipe = choice.recipe
    reason = error.message.removesuffix(".")
    for start in (f"{recipe.format} {recipe.name}: ", f"{recipe}: ", f"{recipe} "):
        reason = reason.removeprefix(start)
    job.report.warn(f"{recipe.format}: {recipe.name} left out: {reason}.")
    return Skipped(recipe.name, recipe.format, reason)


def _subject(outcome: Outcome) -> str:
    named: str | None = outcome.found["named"]
    format = outcome.source.format
    return artifact_id(format, named) if named else f"{format} for {outcome.target}"


def _tell_of_samples(job: Job) -> None:
    """Calibration samples that no range can be taken from."""
    settings = job.config.quantize
    if job.config.data.entry is None:
        job.report.warn("Without [data] entry int8 ranges are taken from noise, not from samples.")
    elif all_alike(job.config, settings.calibration_samples, settings.batch_size):
        job.report.warn(
            "The calibration samples are all the same: int8 ranges of them fit no other sample. "
            'Give several under "calibration" or "train" of [data] entry.'
        )


@dataclass
class Made:
    """What the stage has made so far, by artifact."""

    artifacts: list[Artifact]
    coverage: dict[str, Any]
    seconds: dict[str, float]

    def add(self, artifact: Artifact, source: Artifact, coverage: Coverage, seconds: float) -> None:
        self.artifacts.append(artifact)
        self.coverage[artifact.id] = {
            "recipe": artifact.recipe,
            "format": artifact.format,
            "file_bytes": {"before": source.bytes, "after": artifact.bytes},
            "operators": artifact.operators,
            "details": artifact.details,
            **coverage.to_json(),
        }
        self.seconds[artifact.id] = seconds


def _search(job: Job, sources: list[Artifact], signature: Signature) -> list[Outcome]:
    """`auto` for each format and kind of CPU; what is left of the time is shared among the rest."""
    ends = time.monotonic() + 60 * job.config.quantize.budget_minutes
    todo = [(source, target) for source in sources for target in targets(job.config)]
    folder = job.scratch / "search"
    found = []
    for number, (source, target) in enumerate(todo):
        folder.mkdir(parents=True, exist_ok=True)
        minutes = max(0.0, ends - time.monotonic()) / 60 / (len(todo) - number)
        path = job.inputs["export"] / source.file
        with Silent().bar("", None) as bar:
            task = _task(job, source, signature, folder, bar)
        kinds = kinds_of(source.format, path)
        found.append(auto(task, target, kinds, minutes, job.report))
        job.report.note(f"{source.format} for {target}: {found[-1].why}")
    return found


def _ship(job: Job, outcome: Outcome, signature: Signature) -> tuple[Artifact, Artifact, Coverage]:
    """The winner of a search as an artifact: (it, its source, what it holds)."""
    best, source = outcome.best, outcome.source
    assert best is not None
    assert outcome.file is not None
    (recipe,) = (r for r in RECIPES if (r.name, r.format) == (best.candidate.recipe, source.format))
    suffix = "" if outcome.target == targets(job.config)[0] else f"-{outcome.target}"
    path = job.out / file_name(source.format, f"{recipe.name}{suffix}")
    path.write_bytes(outcome.file.read_bytes())
    coverage = coverage_of(recipe, job.inputs["export"] / source.file, path)
    made = Quantized(b"", best.made_for, {**best.details, "chosen": outcome.why})
    artifact = _artifact(recipe, path, made, coverage, suffix)
    job.report.note(f"{artifact.file}: {coverage}")
    return artifact, source, coverage


def _apply(
    job: Job, choice: Choice, signature: Signature, evaluators: dict[Format, Evaluator]
) -> tuple[Artifact, Coverage, Outcome | None]:
    """A named recipe's artifact, what it holds, and what the gate says, where there is one. The
    file of one that does not pass is gone."""
    recipe, source = choice.recipe, choice.source
    job.scratch.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="quantize.", dir=job.scratch))
    total = job.config.quantize.calibration_samples if recipe.calibrates else None
    path = job.out / file_name(source.format, recipe.name)
    try:
        with job.report.bar(str(recipe), total) as bar:
            task = _task(job, source, signature, scratch, bar)
            made = recipe.apply(task)
            path.write_bytes(made.data)
            bar.advance(0, "reading back")
            found = coverage_of(recipe, task.path, path)
            if recipe.format == "torchscript" and job.config.export.for_ == android_pytorch.TARGET:
                drop = f'Leave "torchscript:{recipe.name}" out of [quantize] recipes.'
                android_pytorch.check(path, drop)
            check_changed(recipe, found, job.config.quantize.exclude, _others(choice, found))
            _check_runs(task, choice, path, made, job.report)
            artifact, outcome = _artifact(recipe, path, made, found), None
            if job.config.quantize.gate and recipe.precision in GATED:
                bar.advance(0, "against fp32")
                if source.format not in evaluators:
                    folder = job.scratch / "search" / f"{source.format} by name"
                    evaluators[source.format] = Evaluator(
                        job.config, signature, source, task.path, folder
                    )
                outcome = gate(task, evaluators[source.format], recipe, path, made)
                if outcome.file is None:
                    path.unlink()
    except UsageError:
        path.unlink(missing_ok=True)  # no half of what is left out
        raise
    finally:
        shutil.rmtree(scratch)
    return artifact, found, outcome


def _task(job: Job, source: Artifact, signature: Signature, scratch: Path, bar: Bar) -> Task:
    return Task(
        config=job.config,
        source=source,
        path=job.inputs["export"] / source.file,
        signature=signature,
        train=job.inputs["train"],
        scratch=scratch,
        bar=bar,
        target=machine.made_for(),
    )


def _artifact(
    recipe: Recipe, path: Path, made: Quantized, found: Coverage, suffix: str = ""
) -> Artifact:
    details: dict[str, Any] = {
        **made.details,
        "layers": {kind: f"{done} of {there}" for kind, (done, there) in found.layers.items()},
    }
    return Artifact(
        id=artifact_id(recipe.format, f"{recipe.name}{suffix}"),
        format=recipe.format,
        precision=recipe.precision,
        recipe=recipe.name,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        version=found.after.version,
        made_for=made.made_for,
        operators=found.after.operators,
        details=details,
    )


def _others(choice: Choice, found: Coverage) -> list[str]:
    """Recipes of the same format that take a kind of layer that the model has."""
    return [
        recipe.name
        for recipe in RECIPES
        if recipe.format == choice.recipe.format
        and recipe.name != choice.recipe.name
        and any(kind in found.layers for kind in recipe.kinds)
    ]


def _check_runs(task: Task, choice: Choice, path: Path, made: Quantized, report: Reporter) -> None:
    """Opens the file and runs one batch; hands on what the runtime warns of.

    Raises UsageError if it does not open, does not run, or gives numbers that are not finite.
    """
    recipe = choice.recipe
    hint = f'Leave "{recipe}" out of [quantize] recipes, or name layers in [quantize] exclude.'
    runtime = next(r for r in RUNTIMES.values() if r.format == recipe.format)
    threads = threads_or_all(task.config.quantize.threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            runner = runtime.open(path, Asked(task.signature, threads, made.made_for))
            try:
                outputs = runner.run(one_batch(task))
            finally:
                runner.close()
        except RuntimeError as error:
            raise UsageError(f"{runtime.name} does not run {path.name}: {error}", hint) from error
    for warning in caught:
        if issubclass(warning.category, UserWarning):  # others are about torch.jit's age
            report.warn(f"{path.name}, run once: {_plain(str(warning.message))}")
    for spec, output in zip(task.signature.outputs, outputs, strict=True):
        if not np.isfinite(output).all():
            raise UsageError(
                f"{path.name} gives NaN or infinity in {spec.name!r} on a calibration sample, so "
                f"{recipe.precision} cannot hold some value of the model.",
                hint,
            )


def _plain(said: str) -> str:
    """torch's warning in words that need no knowledge of its kernels."""
    if "this cat operator must share the same quantization" in said:
        return (
            "a concatenation joins parts whose int8 ranges differ, and takes the first one's for "
            "all; if verify fails, keep the layers before it float: [quantize] exclude."
        )
    return said.strip().partition(" (Triggered")[0]


def _check_excludes(job: Job, sources: list[Artifact]) -> None:
    """Raises UsageError for an exclude pattern that no chosen format knows a layer for."""
    patterns = job.config.quantize.exclude
    formats = {source.format: source for source in sources}
    if not patterns or not formats:
        return
    names: set[str] = set()
    if "onnx" in formats:
        from pipeline.formats.onnx.load import load_onnx
        from pipeline.quantize.onnx.graph import all_names, name_nodes

        model = load_onnx(job.inputs["export"] / formats["onnx"].file)
        name_nodes(model)
        names |= all_names(model)
    if "torchscript" in formats:
        from pipeline.runtimes.eager import reference_model

        module = reference_model(job.config, job.inputs["train"]).model
        names |= {PREFIX + name for name, _ in module.named_modules() if name}
    check_patterns(patterns, names)
