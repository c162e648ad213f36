"""How near an artifact's answers come to the reference's: sums over batches, then numbers.

Everything is computed in float64 and kept unrounded. Memory is that of one batch, whatever the
number of samples.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WORST = 5  # samples with the largest error that are kept
DISAGREEMENTS = 20  # samples with another first class that are kept


@dataclass(frozen=True)
class Parity:
    """One output over all samples; x is the artifact's answer, ref the reference's.

    max_abs   max |ref - x|
    scale     max |ref|
    max_rel   max_abs / scale; None where the reference is zero throughout and x is not
    cosine    sum(ref·x) / sqrt(sum ref² · sum x²); 1 if both are zero, 0 if one of them is
    sqnr_db   10 log10(sum ref² / sum (ref - x)²); None where exact, or where ref is zero throughout
    worst     (sample, its largest error), the largest first

    All five are None where not a single sample was finite on both sides.
    """

    max_abs: float | None
    scale: float | None
    max_rel: float | None
    cosine: float | None
    sqnr_db: float | None
    worst: tuple[tuple[int, float], ...]


class ParitySums:
    """What `Parity` is computed from, batch by batch.

    Samples that are not finite on either side are counted, not compared.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.max_abs = self.scale = 0.0
        self.ref_ref = self.x_x = self.ref_x = self.noise = 0.0
        self.worst: list[tuple[int, float]] = []
        self._rows: list[Array] = []
        self.not_finite: list[int] = []
        self.ref_not_finite: list[int] = []

    def update(self, reference: Array, answer: Array, samples: list[int]) -> None:
        """Both [len(samples), ...], of one shape and of any real dtype; `samples` are indices."""
        rows = len(samples)
        ref = reference.reshape(rows, -1).astype(np.float64)
        x = answer.reshape(rows, -1).astype(np.float64)
        ref_good, x_good = np.isfinite(ref).all(axis=1), np.isfinite(x).all(axis=1)
        self.ref_not_finite += [samples[row] for row in np.flatnonzero(~ref_good)]
        self.not_finite += [samples[row] for row in np.flatnonzero(~x_good)]
        keep = np.flatnonzero(ref_good & x_good)
        if keep.size < rows:
            ref, x = ref[keep], x[keep]
        if keep.size and ref.shape[1]:
            self._add(ref, x, [samples[row] for row in keep])
        self.samples += keep.size

    def _add(self, ref: Array, x: Array, samples: list[int]) -> None:
        difference = ref - x
        errors = np.maximum(difference.max(axis=1), -difference.min(axis=1))
        scales = np.maximum(ref.max(axis=1), -ref.min(axis=1))
        sums = (_dots(a, b) for a, b in ((ref, ref), (x, x), (ref, x), (difference, difference)))
        self._sum(np.stack([np.asarray(samples), errors, scales, *sums], axis=1))

    def _sum(self, rows: Array) -> None:
        """`rows` float64 [n, 7]: of each sample its number, largest error, scale and four sums."""
        self._rows.append(rows)
        self.max_abs = max(self.max_abs, float(rows[:, 1].max()))
        self.scale = max(self.scale, float(rows[:, 2].max()))
        for name, column in zip(("ref_ref", "x_x", "ref_x", "noise"), rows.T[3:], strict=True):
            setattr(self, name, getattr(self, name) + float(column.sum()))
        found = [(int(s), float(e)) for s, e in rows[:, :2] if e > 0]
        self.worst = sorted(self.worst + found, key=lambda pair: (-pair[1], pair[0]))[:WORST]

    def above(self, limit: float) -> list[tuple[int, float]]:
        """(sample, its largest error) of those beyond a limit, in order."""
        rows = np.concatenate(self._rows) if self._rows else np.empty((0, 7))
        return [(int(s), float(e)) for s, e in rows[rows[:, 1] > limit][:, :2]]

    def without(self, samples: set[int]) -> "ParitySums":
        """The sums of all other samples."""
        others = ParitySums()
        others.not_finite, others.ref_not_finite = self.not_finite, self.ref_not_finite
        for rows in self._rows:
            kept = rows[~np.isin(rows[:, 0], list(samples))]
            others.samples += len(kept)
            if len(kept):
                others._sum(kept)
        return others

    def result(self) -> Parity:
        if not self.samples:
            return Parity(None, None, None, None, None, ())
        return Parity(
            max_abs=self.max_abs,
            scale=self.scale,
            max_rel=_relative(self.max_abs, self.scale),
            cosine=self._cosine(),
            sqnr_db=sqnr_db(self.ref_ref, self.noise),
            worst=tuple(self.worst),
        )

    def _cosine(self) -> float:
        if not self.ref_ref or not self.x_x:
            return float(self.ref_ref == self.x_x)
        # Two roots, since the product of the sums may leave float64's range; rounding may pass 1.
        cosine = self.ref_x / math.sqrt(self.ref_ref) / math.sqrt(self.x_x)
        return max(-1.0, min(1.0, cosine))


def _dots(a: Array, b: Array) -> Array:
    """The sums of products, row by row. Not BLAS's: its threads wait for cores that are busy,
    measured at 20 times as long, and the order of its sums depends on how many there are."""
    sums: Array = np.einsum("ij,ij->i", a, b)
    return sums


def sqnr_db(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise) of two energies; None where either is zero."""
    if not signal or not noise:
        return None
    return 10.0 * (math.log10(signal) - math.log10(noise))


def _relative(max_abs: float, scale: float) -> float | None:
    if scale:
        return max_abs / scale
    return None if max_abs else 0.0


# (reference, answer) → where the decisions differ, and how far apart the reference itself puts the
# two: arrays [samples, ...] of booleans and floats.
Decide = Callable[[Array, Array], tuple[Array, Array]]


def by_class(reference: Array, answer: Array) -> tuple[Array, Array]:
    """The first class along the last axis, [samples, ..., classes]."""
    chosen, other = reference.argmax(-1)[..., None], answer.argmax(-1)[..., None]
    top = np.take_along_axis(reference, chosen, -1).astype(np.float64)
    taken = np.take_along_axis(reference, other, -1).astype(np.float64)
    return (chosen != other)[..., 0], (top - taken)[..., 0]


def by_side(threshold: float) -> Decide:
    """Which side of a threshold a single score is on, [samples, ..., 1]."""

    def decide(reference: Array, answer: Array) -> tuple[Array, Array]:
        differ = (reference > threshold) != (answer > threshold)
        return differ, np.abs(reference.astype(np.float64) - threshold)

    return decide


def by_element(reference: Array, answer: Array) -> tuple[Array, Array]:
    """Whether integers or booleans are equal, [samples, ...]; there is no margin."""
    return reference != answer, np.full(reference.shape, np.inf)


def decision(dtype: str, classifies: bool, threshold: float | None) -> Decide | None:
    """How an output decides; None if it doesn't. `threshold` is for a classifier of one score."""
    if dtype == "bool" or "int" in dtype:
        return by_element
    if threshold is not None:
        return by_side(threshold)
    return by_class if classifies else None


class Agreement:
    """Whether both sides decide alike.

    A disagreement is a near tie where the reference itself puts the two at most `tie` apart: an
    error within the tolerance can turn it, and it says nothing about the artifact.
    """

    def __init__(self, decide: Decide, tie: float) -> None:
        self.decide = decide
        self.tie = tie
        self.decisions = self.same = self.near_ties = 0
        self.samples: list[int] = []
        self._rows: list[Array] = []

    def update(self, reference: Array, answer: Array, samples: list[int]) -> None:
        """Both [len(samples), ...]. A batch that is not finite counts nothing: it fails anyway."""
        if not (np.isfinite(reference).all() and np.isfinite(answer).all() and reference.size):
            return
        differ, margin = self.decide(reference, answer)
        rows = len(samples)
        differ, ties = differ.reshape(rows, -1), (differ & (margin <= self.tie)).reshape(rows, -1)
        each = np.full(rows, differ.shape[1])
        self._sum(np.stack([np.asarray(samples), each, differ.sum(1), ties.sum(1)], axis=1))

    def _sum(self, rows: Array) -> None:
        """`rows` [n, 4]: of each sample its number, decisions, those that differ, near ties."""
        self._rows.append(rows)
        self.decisions += int(rows[:, 1].sum())
        self.same += int((rows[:, 1] - rows[:, 2]).sum())
        self.near_ties += int(rows[:, 3].sum())
        self.samples += [int(sample) for sample in rows[rows[:, 2] > 0, 0]]

    def without(self, samples: set[int]) -> "Agreement":
        """That of all other samples."""
        others = Agreement(self.decide, self.tie)
        for rows in self._rows:
            others._sum(rows[~np.isin(rows[:, 0], list(samples))])
        return others

    @property
    def top1(self) -> float | None:
        """Share of equal decisions, near ties counted as they fell."""
        return self.same / self.decisions if self.decisions else None

    @property
    def judged(self) -> float | None:
        """The same with near ties forgiven: what the tolerance is compared with."""
        return (self.same + self.near_ties) / self.decisions if self.decisions else None
