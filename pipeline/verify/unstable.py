"""Samples on which the model itself moves as far as an artifact differs: those are not judged.

`measure/conditioning.py` says how the move is measured. One sample that differs by more than the
model moves, and nothing is excused: the fault is the artifact's.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.measure.conditioning import FACTOR
from pipeline.verify.compare import OutputComparison
from pipeline.verify.context import RowContext
from pipeline.workspace.results.verdict import Bounds

MOST = 64  # samples that are looked at; more that differ are no rare accident
FEW_UNSTABLE = 0.1
"""Of the samples: where more are not judged, the others do not stand for them, and a row that shows
no fault is inconclusive."""


@dataclass(frozen=True)
class Excused:
    """An output without the samples that are not judged: `samples`, on which it differs by up to
    `difference` where the model moves by up to `move`."""

    output: OutputComparison
    samples: list[int]
    difference: float
    move: float

    def __str__(self) -> str:
        which = f"sample {self.samples[0]}"
        if len(self.samples) > 1:
            which = f"{len(self.samples)} samples, the first is {self.samples[0]}"
        return (
            f"not judged on {which}: it differs by up to {self.difference:.2g}, and the model "
            f"itself moves by up to {self.move:.2g} when it is rounded otherwise"
        )


def excused(
    context: RowContext, index: int, output: OutputComparison, limit: Bounds
) -> Excused | None:
    """Of output `index`, which is out of its bounds; None where the model does not explain it."""
    beyond = output.sums.above(_threshold(output, limit))
    if not beyond or len(beyond) > MOST:
        return None
    moves = []
    for sample, error in sorted(beyond, key=lambda pair: -pair[1]):
        move = _move(context, index, sample)
        if move is None or error > FACTOR * move:
            return None
        moves.append(move)
    samples = [sample for sample, _ in beyond]
    others, agreement = output.sums.without(set(samples)), output.agreement
    rest = replace(
        output,
        sums=others,
        parity=others.result(),
        agreement=agreement.without(set(samples)) if agreement else None,
    )
    return Excused(rest, samples, max(error for _, error in beyond), max(moves))


def _threshold(output: OutputComparison, limit: Bounds) -> float:
    """The largest error that a sample may show; of integers none."""
    scale = output.parity.scale or 0.0
    limits = [limit.max_abs, None if limit.max_rel is None else limit.max_rel * scale]
    known = [bound for bound in limits if bound is not None]
    return min(known, default=0.0 if limit.min_sqnr_db is None else 0.1 * scale)


def _move(context: RowContext, index: int, sample: int) -> float | None:
    inputs = context.signature.batched([context.samples.inputs[sample]])
    moves = context.conditioning.moves(f"sample {sample}", inputs)
    if moves is None:
        return None
    return float(np.max(context.signature.outputs[index].rows(moves[index], 1), initial=0.0))
