"""What the quantize stage does: plan, and for each plan make, evaluate, decide, ship."""

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config.export import Format
from pipeline.errors import DamagedError, UsageError
from pipeline.graph.signature import Signature
from pipeline.quantize.checks import check_excludes, check_runs, others_for, warn_of_samples
from pipeline.quantize.coverage import (
    NothingToQuantizeError,
    check_changed,
    coverage_of,
    kinds_of,
)
from pipeline.quantize.plan import Plan, Skipped, plan
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.outcome import Outcome
from pipeline.quantize.search.pursue import pursue
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.quantize.ship import Shipped, ship
from pipeline.system.progress import Bar
from pipeline.workspace.artifacts import (
    SIGNATURE,
    Artifact,
    read_index,
    read_signature,
    write_index,
)
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.quantize import QUANTIZE, Quantization, SkippedRecipe
from pipeline.workspace.stage import Job, Summary


def quantize(job: Job) -> Summary:
    """As `pipeline.quantize.run` says. The summary has the seconds, the files have none."""
    export = job.inputs["export"]
    sources = [artifact for artifact in read_index(export) if artifact.precision == "fp32"]
    plans, skipped = plan(
        job.config, sources, lambda source: kinds_of(source.format, export / source.file)
    )
    for skip in skipped:
        job.report.warn(f"{skip.format}: {skip.recipe} left out: {skip.reason}.")
    if any(one.named is None or one.named.calibrates for one in plans):
        warn_of_samples(job)
    check_excludes(job, [one.source for one in plans])
    desk = Desk(job)
    shipped, outcomes, refused = Shipped(), [], Refused(job)
    for planned, minutes in _timed(plans, job.config.quantize.budget_minutes):
        if planned.named and planned.subject in shipped.coverage:
            refused.taken.add(planned.named.name)
            job.report.note(f"{planned.subject} is what auto has made; named, it is made once.")
            continue
        start = time.perf_counter()
        try:
            outcome, task = desk.pursue(planned, minutes)
        except UsageError as error:
            skipped.append(refused.add(planned, error))
            continue
        if planned.named:
            refused.taken.add(planned.named.name)
        _tell(job, outcome)
        outcomes.append(outcome)
        if outcome.file is not None:
            artifact, coverage = ship(job, task, outcome)
            shipped.add(artifact, planned, coverage, time.perf_counter() - start)
    refused.check()
    shutil.rmtree(job.scratch / "search", ignore_errors=True)
    return _write(job, shipped, skipped, outcomes)


class Desk:
    """What the searches share: the signature, and for each format fp32's answers."""

    def __init__(self, job: Job) -> None:
        self.job = job
        export = job.inputs["export"]
        self.signature: Signature = read_signature(export)
        if not self.signature.inputs:
            raise DamagedError(f"{export / SIGNATURE} names no input.", "Run export with --force.")
        self._evaluators: dict[Format, Evaluator] = {}

    def pursue(self, planned: Plan, minutes: float) -> tuple[Outcome, Task]:
        recipe, settings = planned.named, self.job.config.quantize
        text = str(recipe) if recipe else f"search {planned.subject}"
        total = settings.calibration_samples if recipe and recipe.calibrates else None
        with self.job.report.bar(text, total) as bar:
            task = self._task(planned, bar)

            def check(trial: Trial, runner: TrialRunner) -> None:
                assert recipe is not None
                bar.advance(0, "reading back")
                coverage = coverage_of(recipe, task.path, runner.path(trial))
                others = others_for(planned, coverage)
                check_changed(recipe, coverage, settings.exclude, others)
                check_runs(task, planned, trial, runner, self.job.report)

            return pursue(planned, task, self._evaluator(planned.source), minutes, check), task

    def _task(self, planned: Plan, bar: Bar) -> Task:
        scratch = self.job.scratch / "search"
        scratch.mkdir(parents=True, exist_ok=True)
        return Task(
            config=self.job.config,
            source=planned.source,
            path=self._path(planned.source),
            signature=self.signature,
            train=self.job.inputs["train"],
            scratch=scratch,
            bar=bar,
            target=planned.target,
        )

    def _evaluator(self, source: Artifact) -> Evaluator:
        if source.format not in self._evaluators:
            folder = self.job.scratch / "search" / source.format
            self._evaluators[source.format] = Evaluator(
                self.job.config, self.signature, source, self._path(source), folder
            )
        return self._evaluators[source.format]

    def _path(self, source: Artifact) -> Path:
        return self.job.inputs["export"] / source.file


class Refused:
    """Named recipes that a format cannot take. One that was named without a format is left out of
    those; where no recipe is taken by any, that is an error, unless the model has nothing that they
    could quantize."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.first: dict[str, UsageError] = {}  # by recipe: what the first format said
        self.taken: set[str] = set()

    def add(self, planned: Plan, error: UsageError) -> Skipped:
        """Raises the error where the recipe was named for this format, or it is a search's."""
        recipe = planned.named
        if recipe is None or planned.strict:
            raise error
        self.first.setdefault(recipe.name, error)
        reason = error.message.removesuffix(".")
        for start in (f"{recipe.format} {recipe.name}: ", f"{recipe}: ", f"{recipe} "):
            reason = reason.removeprefix(start)
        instead = f" {error.hint}" if isinstance(error, NothingToQuantizeError) else ""
        self.job.report.warn(f"{recipe.format}: {recipe.name} left out: {reason}.{instead}")
        return Skipped(recipe.name, recipe.format, reason)

    def check(self) -> None:
        for error in self.first.values():
            if not self.taken and not isinstance(error, NothingToQuantizeError):
                raise error


def _timed(plans: Sequence[Plan], minutes: float) -> Iterator[tuple[Plan, float]]:
    """Each plan with its time: what is left is shared among the searches to come."""
    ends = time.monotonic() + 60 * minutes
    searches = sum(one.named is None for one in plans)
    for number, planned in enumerate(plans):
        left = max(0.0, ends - time.monotonic()) / 60
        yield planned, left / max(1, searches - number)


def _tell(job: Job, outcome: Outcome) -> None:
    plan = outcome.plan
    if plan.named is None:
        job.report.note(f"{plan.subject}: {outcome.why}")
    elif outcome.file is None:
        why = f"{plan.source.format}: {outcome.why}"
        job.report.warn(f"{why} With [quantize] gate = false it would all the same.")


def _write(
    job: Job, shipped: Shipped, skipped: Sequence[Skipped], outcomes: Sequence[Outcome]
) -> Summary:
    quantization = Quantization(
        artifacts=shipped.coverage,
        skipped=[SkippedRecipe(**vars(skip)) for skip in skipped],
        searches=[outcome.record for outcome in outcomes if outcome.record],
        candidates=[point for outcome in outcomes for point in outcome.points],
    )
    write_index(job.out, shipped.artifacts)
    write_result(job.out / QUANTIZE, quantization)
    return {
        **{key: quantization.to_json()[key] for key in ("artifacts", "skipped")},
        "headline": ", ".join(shipped.coverage) or "float alone ships",
        "seconds": shipped.seconds,
        "why": {outcome.plan.subject: outcome.why for outcome in outcomes if outcome.record},
    }
