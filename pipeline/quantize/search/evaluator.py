"""How good a candidate is: the metric on real samples, its distance from fp32, its time."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import Config, threads_or_all
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature
from pipeline.measure.parity import ParitySums
from pipeline.measure.task_metric import TaskMetric, build_metric
from pipeline.measure.timing.contest import ratio_of_medians, turns
from pipeline.measure.timing.loop import measure, warm_up
from pipeline.project.samples import Samples, batches, load_samples
from pipeline.runtimes import RUNTIMES, Asked, Runner, RunnerError, Runtime
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.ratio import Ratio

SHORTEST = 0.02  # seconds of a turn
FEWEST = 3  # runs of a turn


@dataclass(frozen=True)
class Accuracy:
    """`metric` on the samples, None where the task has none; `sqnr_db` from fp32's answers, of the
    output that has the lowest, None where all are equal; how many samples that was."""

    metric: float | None
    sqnr_db: float | None
    samples: int


@dataclass(frozen=True)
class Speed:
    """Medians in milliseconds at batch 1, and the ratio of candidate to fp32."""

    ms: float
    fp32_ms: float
    ratio: Ratio


@dataclass(frozen=True)
class Rung:
    """How thoroughly a candidate is looked at: samples (None: all), rounds of at least `seconds` a
    turn. The interval of a ratio wants 10 rounds; while that cannot tell who is faster, there are
    twice as many, up to `most`."""

    samples: int | None
    rounds: int
    seconds: float
    most: int = 0


class CandidateError(UsageError):
    """A candidate that a runtime does not take, or that answers with what is no number."""


@contextmanager
def _of_runtime() -> Iterator[None]:
    try:
        yield
    except RunnerError as error:
        raise CandidateError(str(error)) from error


class Evaluator:
    """Scores files of one format. It keeps fp32's answers on the disk, a file for each batch."""

    def __init__(
        self, config: Config, signature: Signature, source: Artifact, path: Path, folder: Path
    ) -> None:
        self.config, self.signature, self.path = config, signature, path
        self.runtime: Runtime = next(r for r in RUNTIMES.values() if r.format == source.format)
        self.samples: Samples = load_samples(
            config, "validation", config.quantize.validation_samples
        )
        classes = (signature.outputs[0].shape or (None,))[-1]
        self.metric: TaskMetric | None = (
            None if self.samples.synthetic else build_metric(config, classes)
        )
        self.folder = folder / "answers"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.fp32 = self._ask_fp32()

    @property
    def goal_is_max(self) -> bool:
        return self.metric is None or self.metric.goal == "max"

    def drop(self, found: Accuracy) -> float | None:
        """How much worse than fp32 on the same samples; None without a metric."""
        if self.metric is None or found.metric is None or self.fp32.metric is None:
            return None
        return self.metric.drop(self.fp32_on(found.samples), found.metric)

    def fp32_on(self, samples: int) -> float:
        """fp32's metric on the first so many samples."""
        if samples >= self.fp32.samples:
            assert self.fp32.metric is not None
            return self.fp32.metric
        assert self.metric is not None
        self.metric.reset()
        for number, (indices, _) in enumerate(self._batches(samples)):
            self._count(self._wanted(number)[0], indices)
        return self.metric.compute()

    def accuracy(self, file: Path, made_for: str, samples: int | None = None) -> Accuracy:
        """Raises CandidateError if the runtime does not take the file or an input, or if an answer
        is not finite where fp32's is."""
        count = min(samples or len(self.samples), len(self.samples))
        runner = self._open(file, made_for)
        if self.metric is not None:
            self.metric.reset()
        sums, counted = [ParitySums() for _ in self.signature.outputs], 0
        try:
            for number, (indices, inputs) in enumerate(self._batches(count)):
                with _of_runtime():
                    answers = runner.run(inputs)
                counted += len(indices)
                specs, wanted = self.signature.outputs, self._wanted(number)
                for total, spec, ref, x in zip(sums, specs, wanted, answers, strict=True):
                    rows = spec.rows(ref, len(indices))
                    total.update(rows, spec.rows(x, len(indices)), indices[: len(rows)])
                self._count(answers[0], indices)
        finally:
            runner.close()
        lost = sum(len(set(total.not_finite) - set(total.ref_not_finite)) for total in sums)
        if lost:
            raise CandidateError(f"NaN or infinity on {lost} samples")
        known = [sqnr for total in sums if (sqnr := total.result().sqnr_db) is not None]
        metric = self._value()
        return Accuracy(metric, min(known) if known else None, counted)

    def speed(self, file: Path, made_for: str, rung: Rung) -> Speed:
        """fp32 and the candidate take turns on the first sample, both with one batch of 1 (the
        signature's, where that is fixed)."""
        _, batch = next(iter(self._batches(1)))
        runners = [self._open(file, made_for), self._open(self.path, "any")]
        calls = [lambda _, one=one: one.run(batch) for one in runners]
        times: tuple[list[list[float]], list[list[float]]] = ([], [])
        rounds = rung.rounds
        try:
            with _of_runtime():
                for runner in runners:
                    runner.run(batch)
            for call in calls:
                warm_up(call, FEWEST, SHORTEST)
            while True:
                for _, number in turns(len(calls), rounds - len(times[0])):
                    spent = measure(calls[number], FEWEST, max(rung.seconds, SHORTEST))
                    times[number].append([ns / 1e6 for ns in spent])
                ratio = ratio_of_medians(times[0], times[1])
                if ratio.tells != "can't tell" or 2 * rounds > rung.most:
                    break
                rounds *= 2
        finally:
            for runner in reversed(runners):
                runner.close()
        medians = [float(np.median([np.median(turn) for turn in side])) for side in times]
        return Speed(medians[0], medians[1], ratio)

    def _ask_fp32(self) -> Accuracy:
        runner = self._open(self.path, "any")
        if self.metric is not None:
            self.metric.reset()
        try:
            for number, (indices, inputs) in enumerate(self._batches(len(self.samples))):
                with _of_runtime():
                    answers = runner.run(inputs)
                np.savez(self.folder / f"{number}.npz", *answers)
                self._count(answers[0], indices)
        finally:
            runner.close()
        return Accuracy(self._value(), None, len(self.samples))

    def _open(self, file: Path, made_for: str) -> Runner:
        threads = threads_or_all(self.config.quantize.threads)
        with _of_runtime():
            return self.runtime.open(file, Asked(self.signature, threads, made_for))

    def _batches(self, count: int) -> Iterator[tuple[list[int], list[Array]]]:
        size = 1 if count == 1 else self.signature.batch_size(self.config.quantize.batch_size)
        for indices, inputs in batches(self.samples, self.signature, size):
            if indices[0] >= count:
                return
            yield indices, inputs

    def _wanted(self, number: int) -> list[Array]:
        with np.load(self.folder / f"{number}.npz") as file:
            return [file[f"arr_{index}"] for index in range(len(file.files))]

    def _count(self, answers: Array, indices: list[int]) -> None:
        """The first output, as it is given for a batch that begins with these samples."""
        if self.metric is None or self.samples.targets is None:
            return
        import torch

        targets = np.stack([self.samples.targets[index] for index in indices])
        rows = self.signature.outputs[0].rows(answers, len(indices))
        self.metric.update(torch.from_numpy(rows), torch.from_numpy(targets))

    def _value(self) -> float | None:
        value = None if self.metric is None else self.metric.compute()
        return value if value is not None and math.isfinite(value) else None
