"""Which layers suffer from int8: each is quantized alone, and the output compared with float's."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.graph.array import Array
from pipeline.measure.parity import ParitySums
from pipeline.quantize.calibration import calibration_batches
from pipeline.quantize.recipes import Task
from pipeline.workspace.results.quantize import LayerSensitivity

SAMPLES = 32  # of the calibration set: layers differ by many dB


Run = Callable[[list[Array]], list[Array]]


def few_batches(task: Task) -> list[list[Array]]:
    """The first calibration samples, SAMPLES of them."""
    settings = task.config.quantize
    count = min(SAMPLES, settings.calibration_samples)
    few = settings.model_copy(update={"calibration_samples": count})
    config = task.config.model_copy(update={"quantize": few})
    from dataclasses import replace

    return list(calibration_batches(replace(task, config=config, bar=_NoBar())))


def sqnr_of(reference: Sequence[list[Array]], answers: Iterator[list[Array]]) -> float | None:
    """Of the output that is furthest off, over all batches."""
    sums = [ParitySums() for _ in reference[0]]
    start = 0
    for refs, found in zip(reference, answers, strict=True):
        rows = list(range(start, start + len(refs[0])))
        start += len(rows)
        for total, ref, x in zip(sums, refs, found, strict=True):
            if np.issubdtype(ref.dtype, np.floating):
                total.update(ref, x, rows)
    known = [sqnr for total in sums if (sqnr := total.result().sqnr_db) is not None]
    return min(known) if known else None


def ranked(found: Sequence[LayerSensitivity]) -> list[LayerSensitivity]:
    """The most sensitive first; what changed nothing comes last."""
    return sorted(found, key=lambda one: float("inf") if one.sqnr_db is None else one.sqnr_db)


class _NoBar:
    def advance(self, steps: float = 1, text: str = "") -> None: ...
