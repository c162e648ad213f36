"""What `samples.npz` and `pictures.npz` hold: each sample's error and decision, for the report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.graph.array import Array
from pipeline.project.samples import Samples

EDGES = np.logspace(-12, 3, 61)  # of the histogram: four bins a decade
PICTURES = 24  # samples kept as pictures
NO_CLASS = -1


class SamplesKept:
    """One row's errors and decisions on its first output. Memory does not grow with the output.

    `classes`: samples have one decision each. `threshold` is that of a single score.
    """

    def __init__(self, count: int, scale: float, classes: bool, threshold: float | None) -> None:
        self.scale = scale
        self.classes = classes
        self.threshold = threshold
        self.error = np.full(count, np.nan)
        self.histogram = np.zeros(len(EDGES) - 1, np.int64)
        self.chosen = np.full((2, count), NO_CLASS, np.int64)  # the reference's, the artifact's
        self.score = np.full((2, count), np.nan)

    def update(self, reference: Array, answer: Array, samples: list[int]) -> None:
        """Both [len(samples), ...] of the first output."""
        rows = len(samples)
        with np.errstate(invalid="ignore"):
            apart = np.abs(
                reference.reshape(rows, -1).astype(np.float64)
                - answer.reshape(rows, -1).astype(np.float64)
            )
        if apart.shape[1]:
            self.error[samples] = np.where(np.isfinite(apart).all(1), apart.max(1), np.nan)
        parts = apart[np.isfinite(apart)] / (self.scale or 1.0)
        self.histogram += np.histogram(np.clip(parts, EDGES[0], EDGES[-1]), EDGES)[0]
        if self.classes:
            for side, values in enumerate((reference, answer)):
                self._decide(side, values.reshape(rows, -1), samples)

    def _decide(self, side: int, values: Array, samples: list[int]) -> None:
        if self.threshold is not None:
            self.chosen[side, samples] = values[:, 0] > self.threshold
            self.score[side, samples] = values[:, 0]
        else:
            chosen = values.argmax(1)
            self.chosen[side, samples] = chosen
            self.score[side, samples] = values[np.arange(len(values)), chosen]


def write_samples(folder: Path, rows: Sequence[SamplesKept], samples: Samples) -> None:
    """`samples.npz`, of the rows in the order of `verdict.json`."""
    arrays: dict[str, Array] = {
        "error": np.stack([row.error for row in rows]),
        "histogram": np.stack([row.histogram for row in rows]),
        "histogram_edges": EDGES,
    }
    if rows[0].classes:
        known = max(rows, key=lambda row: int((row.chosen[0] != NO_CLASS).sum()))
        arrays["reference_class"], arrays["reference_score"] = known.chosen[0], known.score[0]
        arrays["row_class"] = np.stack([row.chosen[1] for row in rows])
        arrays["row_score"] = np.stack([row.score[1] for row in rows])
        if samples.targets and all(target.size == 1 for target in samples.targets):
            arrays["target"] = np.array([int(t.reshape(-1)[0]) for t in samples.targets], np.int64)
    np.savez_compressed(folder / "samples.npz", **arrays)  # type: ignore[arg-type]


def write_pictures(
    folder: Path, rows: Sequence[SamplesKept], samples: Samples, number: int
) -> None:
    """`pictures.npz`: input `number` of the samples on which most rows decide otherwise than the
    reference."""
    differ = sum(
        ((row.chosen[1] != row.chosen[0]) & (row.chosen[1] != NO_CLASS)).astype(int) for row in rows
    )
    order = np.argsort(-np.asarray(differ), kind="stable")[:PICTURES]
    chosen = [int(index) for index in order if np.asarray(differ)[index]]
    pictures: dict[str, Array] = {
        f"sample.{index}": samples.inputs[index][number] for index in chosen
    }
    np.savez_compressed(folder / "pictures.npz", **pictures)  # type: ignore[arg-type]
