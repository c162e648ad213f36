"""The reference's answers, on disk: computed once, read again for every row."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import Config
from pipeline.errors import PipelineError, UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature
from pipeline.project.entries import user_code
from pipeline.project.samples import Samples, batches
from pipeline.runtimes import Runner
from pipeline.system.progress import Bar
from pipeline.verify.edge_cases import Edge
from pipeline.verify.scores import Scored, Scores


@dataclass(frozen=True)
class Batch:
    """`samples` are the indices of the first rows of `inputs`; more rows only fill a batch whose
    size is fixed."""

    samples: list[int]
    inputs: list[Array]

    def __str__(self) -> str:
        first, last = self.samples[0], self.samples[-1]
        return f"sample {first}" if first == last else f"samples {first} to {last}"


@dataclass(frozen=True)
class Questions:
    """What every runner is asked."""

    signature: Signature
    samples: Samples
    batch_size: int
    edges: list[Edge]

    def batches(self) -> Iterator[Batch]:
        """All samples in order, in batches as the signature allows them."""
        size = self.signature.batch_size(self.batch_size)
        for indices, inputs in batches(self.samples, self.signature, size):
            yield Batch(indices, inputs)

    def steps(self) -> int:
        """Of a progress bar, for one runner."""
        return sum(1 for _ in self.batches()) + len(self.edges)


@dataclass(frozen=True)
class Reference:
    """`scales` are the largest finite magnitudes by output, over the samples. `refused` are edge
    cases on which the model itself raises, with what it says."""

    folder: Path
    scales: tuple[float, ...]
    scored: Scored
    refused: dict[str, str]

    @property
    def metric(self) -> float | None:
        return self.scored.value

    def answers(self, key: str, outputs: int) -> list[Array]:
        """Of batch number `key`, or of an edge case's `key`."""
        return [np.load(self.folder / f"{key}.{index}.npy") for index in range(outputs)]


def ask_reference(
    config: Config, runner: Runner, questions: Questions, scores: Scores, folder: Path, bar: Bar
) -> Reference:
    """Runs the reference on all questions and keeps its answers in `folder`.

    Raises UsageError where the model raises on real samples, or answers otherwise than the
    signature that export wrote.
    """
    specs = questions.signature.outputs
    scales = [0.0] * len(specs)
    for number, batch in enumerate(questions.batches()):
        with user_code(f"The model, on validation {batch},", config.root):
            answers = runner.run(batch.inputs)
        _check(answers, questions.signature, batch.inputs)
        _save(folder, str(number), answers)
        kept = [s.rows(a, len(batch.samples)) for s, a in zip(specs, answers, strict=True)]
        scales = [max(s, _magnitude(a)) for s, a in zip(scales, kept, strict=True)]
        scores.update(kept[0], batch.samples)
        bar.advance()
    refused = {}
    for edge in questions.edges:
        try:
            with user_code(f"The model, on {edge.case},", config.root):
                answers = runner.run(edge.inputs)
        except PipelineError as error:
            refused[edge.case] = error.message.partition("\n")[0]
        else:
            _check(answers, questions.signature, edge.inputs)
            _save(folder, edge.key, answers)
        bar.advance()
    return Reference(folder, tuple(scales), scores.result(), refused)


def misfit(answers: Sequence[Array], signature: Signature, inputs: Sequence[Array]) -> str | None:
    """How the answers to some inputs differ from the signature; None if they don't."""
    specs, samples = signature.outputs, signature.samples_of(inputs)
    if len(answers) != len(specs):
        return f"{len(answers)} outputs where the signature has {len(specs)}"
    for answer, spec in zip(answers, specs, strict=True):
        fits = len(answer.shape) == len(spec.shape) and all(
            wanted in (None, size) for size, wanted in zip(answer.shape, spec.shape, strict=True)
        )
        if answer.dtype.name != spec.dtype or not fits:
            got = f"{answer.dtype.name}{list(answer.shape)}"
            return f"{spec.name} is {got} where the signature has {spec}"
        if not spec.counts(answer.shape, samples):
            return f"{spec.name} is {list(answer.shape)} for a batch of {samples}"
    return None


def _check(answers: list[Array], signature: Signature, inputs: list[Array]) -> None:
    wrong = misfit(answers, signature, inputs)
    if wrong:
        raise UsageError(
            f"The model itself gives {wrong}.",
            "Where a size depends on what is in the input, say so: "
            '[outputs.NAME] shape = ["detections", 4].',
        )


def _save(folder: Path, key: str, answers: list[Array]) -> None:
    for index, answer in enumerate(answers):
        np.save(folder / f"{key}.{index}.npy", answer)


def _magnitude(answer: Array) -> float:
    finite = answer[np.isfinite(answer)].astype(np.float64)
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    assert math.isfinite(largest)
    return largest
