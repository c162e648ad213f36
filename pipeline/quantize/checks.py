"""What is asked of samples, patterns and files before anything is measured."""

import warnings
from collections.abc import Sequence

import numpy as np

from pipeline.config import threads_or_all
from pipeline.errors import UsageError
from pipeline.project.library import library
from pipeline.quantize.calibration import all_alike, one_batch
from pipeline.quantize.coverage import Coverage
from pipeline.quantize.exclude_patterns import PREFIX, check_patterns
from pipeline.quantize.plan import Plan
from pipeline.quantize.recipes import RECIPES, Task
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system.progress import Reporter
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.stage import Job


def warn_of_samples(job: Job) -> None:
    """Calibration samples that no range can be taken from."""
    settings = job.config.quantize
    if job.config.data.entry is None:
        job.report.warn("Without [data] entry int8 ranges are taken from noise, not from samples.")
    elif all_alike(job.config, settings.calibration_samples):
        job.report.warn(
            "The calibration samples are all the same: int8 ranges of them fit no other sample. "
            'Give several under "calibration" or "train" of [data] entry.'
        )


def check_excludes(job: Job, sources: Sequence[Artifact]) -> None:
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
        from pipeline.project.samples import load_samples
        from pipeline.runtimes.eager import exported_model

        first = load_samples(job.config, "validation", 1)
        module = exported_model(job.config, job.inputs["train"], first).model
        names |= {PREFIX + name for name, _ in module.named_modules() if name}
    check_patterns(patterns, names)


def others_for(plan: Plan, coverage: Coverage) -> list[str]:
    """Recipes of the same format that take a kind of layer that the model has."""
    return [
        recipe.name
        for recipe in RECIPES
        if recipe.format == plan.source.format
        and recipe != plan.named
        and any(kind in coverage.layers for kind in recipe.kinds)
    ]


def check_runs(task: Task, plan: Plan, trial: Trial, runner: TrialRunner, report: Reporter) -> None:
    """Opens a named recipe's file and runs one batch; hands on what the runtime warns of.

    Raises UsageError if it does not open, does not run, or gives numbers that are not finite.
    """
    recipe, path = plan.named, runner.path(trial)
    name = f"model.{trial.candidate.recipe}{path.suffix}"
    hint = f'Leave "{recipe}" out of [quantize] recipes, or name layers in [quantize] exclude.'
    runtime = next(r for r in RUNTIMES.values() if r.format == plan.source.format)
    batch = one_batch(task)
    asked = Asked(task.signature, threads_or_all(task.config.quantize.threads), trial.made_for)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with library(f"{runtime.name} does not run {name}", None, hint):
            opened = runtime.open(path, asked)
            try:
                outputs = opened.run(batch)
            finally:
                opened.close()
    for warning in caught:
        if issubclass(warning.category, UserWarning):  # others are about torch.jit's age
            report.warn(f"{name}, run once: {_plain(str(warning.message))}")
    for spec, output in zip(task.signature.outputs, outputs, strict=True):
        if not np.isfinite(output).all():
            raise UsageError(
                f"{name} gives NaN or infinity in {spec.name!r} on a calibration sample, so "
                f"{trial.candidate.precision} cannot hold some value of the model.",
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
