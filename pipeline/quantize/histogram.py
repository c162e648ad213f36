"""Histograms that grow with what they see, and the ranges that are read from them.

A bin is 2^k wide and starts at a multiple of its width. Where a batch goes beyond the bins, pairs
of them are joined and k grows by one: the counts are exact, and the same whatever the order of the
samples and however they are cut into batches. Memory is that of the bins.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy", "mse")

BINS = 2048  # at most; at least half of them are in use
LEVELS = 256  # of 8 bits
PERCENT = 99.99  # of the values lie inside, as ONNX Runtime's and TensorRT's default has it
STEPS = 64  # widths that entropy and MSE try for a range
FINEST = 2.0**-20  # of the largest magnitude: a width that float32 and int32 can count in


@dataclass
class Histogram:
    """Counts of float values. `first` is the number of the first bin, in widths from zero."""

    width: float = 0.0
    first: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: NDArray[np.float32]) -> None:
        """`values` of any shape, finite."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen()
        numbers = np.floor(values.reshape(-1) * np.float32(1 / self.width)).astype(np.int32)
        numbers -= self.first
        self.counts += np.bincount(numbers, minlength=len(self.counts))[: len(self.counts)]

    def _widen(self) -> None:
        """Makes the bins cover `low` to `high`."""
        largest = max(abs(self.low), abs(self.high), 2.0**-100)
        width = max(self.width, 2.0 ** math.floor(math.log2(largest * FINEST)))
        while _bin(self.high, width) - _bin(self.low, width) >= BINS:
            width *= 2
        first, last = _bin(self.low, width), _bin(self.high, width)
        counts = np.zeros(last - first + 1, np.int64)
        if self.counts.size:
            # By 2^62 all are the bins beside zero: samples of zeros alone start with tiny ones.
            steps = min(round(math.log2(width / self.width)), 62)
            numbers = ((self.first + np.arange(len(self.counts))) >> steps) - first
            np.add.at(counts, numbers, self.counts)
        self.width, self.first, self.counts = width, first, counts

    @property
    def centres(self) -> Floats:
        """The middle of each bin."""
        numbers = np.arange(len(self.counts), dtype=np.float64)
        middles: Floats = (numbers + self.first + 0.5) * self.width
        return middles


Cost = Callable[[Histogram, float, float], float]


def _bin(value: float, width: float) -> int:
    return math.floor(value / width)  # exact: the width is a power of two


def value_range(histogram: Histogram, method: Method, symmetric: bool) -> tuple[float, float]:
    """(low, high), zero between them, that the 8-bit levels are to span.

    `symmetric`: as for int8 activations around zero, -high = low.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if symmetric:
        high = max(-low, high)
        low = -high
    if method == "minmax" or low == high:
        return low, high
    if method == "percentile":
        return _percentile(histogram, symmetric)
    cost = _divergence if method == "entropy" else _square_error
    return _narrowed(histogram, (low, high), cost, symmetric)


def _percentile(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """Half of the rest is cut off at either end, never what lies between zero and the range."""
    share = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    rest = (1 - PERCENT / 100) / 2
    edges = (histogram.first + np.arange(len(share) + 1)) * histogram.width
    low = edges[min(int(np.searchsorted(share, rest)), len(share) - 1)]
    high = edges[min(int(np.searchsorted(share, 1 - rest)), len(share) - 1) + 1]
    low, high = max(float(low), histogram.low), min(float(high), histogram.high)
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        high = max(-low, high)
        low = -high
    return low, high


def _narrowed(
    histogram: Histogram, whole: tuple[float, float], cost: Cost, symmetric: bool
) -> tuple[float, float]:
    """The cheapest range: both ends together for symmetric ones, else one end after the other."""
    parts = np.linspace(1.0, 1.0 / STEPS, STEPS)
    low, high = whole
    if symmetric:
        costs = [cost(histogram, low * part, high * part) for part in parts]
        part = float(parts[int(np.argmin(costs))])
        return low * part, high * part
    for _ in range(2):
        if whole[1]:
            costs = [cost(histogram, low, whole[1] * part) for part in parts]
            high = whole[1] * float(parts[int(np.argmin(costs))])
        if whole[0]:
            costs = [cost(histogram, whole[0] * part, high) for part in parts]
            low = whole[0] * float(parts[int(np.argmin(costs))])
    return low, high


def _square_error(histogram: Histogram, low: float, high: float) -> float:
    """Of rounding to the levels and of cutting off, over all counted values."""
    scale = (high - low) / (LEVELS - 1)
    if scale <= 0:
        return math.inf
    values = histogram.centres
    rounded = np.round(np.clip(values, low, high) / scale) * scale
    # Within a bin values spread evenly around its centre; where bins are narrower than the levels
    # that adds the same to every range.
    return float((histogram.counts * (values - rounded) ** 2).sum())


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    """Kullback-Leibler, of the values from what the levels keep of them (Migacz, *8-bit inference
    with TensorRT*, 2017): what is cut off counts at the ends, a level is spread over its bins."""
    values, counts = histogram.centres, histogram.counts.astype(np.float64)
    scale = (high - low) / (LEVELS - 1)
    if scale <= 0:
        return math.inf
    inside = (values >= low) & (values <= high)
    if not inside.any():
        return math.inf
    kept = np.where(inside, counts, 0.0)
    numbers = np.flatnonzero(inside)
    wanted = kept.copy()
    wanted[numbers[0]] += counts[: numbers[0]].sum()
    wanted[numbers[-1]] += counts[numbers[-1] + 1 :].sum()
    level = np.clip(np.round((values - low) / scale), 0, LEVELS - 1).astype(np.int64)
    used = kept > 0
    sums = np.bincount(level[used], kept[used], LEVELS)
    bins = np.bincount(level[used], minlength=LEVELS)
    given = np.where(used, sums[level] / np.maximum(bins[level], 1), 0.0)
    both = (wanted > 0) & (given > 0)
    p, q = wanted / wanted.sum(), given / max(given.sum(), 1e-300)
    missed = p[(wanted > 0) & ~both].sum()
    return float((p[both] * np.log(p[both] / q[both])).sum() + missed * 50.0)
