"""Percentiles that are times which were measured, and how sure they are.

`cpp_runner/tool/percentiles.cpp` is the same in C++.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE = 0.99  # as MLPerf Inference asks of a percentile


def nearest_rank(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (the nearest-rank method):
    number ceil(percent / 100 · n) in ascending order. Always one of the values."""
    rank = max(1, math.ceil(percent / 100 * len(values)))
    return sorted(values)[rank - 1]


def sure(values: Sequence[float], percent: float) -> float | None:
    """A value that the true percentile is not above, with 99 % confidence; None if there are too
    few to say so (fewer than 64 for p90, than 662 for p99).

    The estimate of MLPerf LoadGen's early stopping (`loadgen/early_stopping.cc`): were the true
    percentile higher, at most t of n runs would exceed it with a probability of at most 1 %; the
    estimate is the t-th largest value, t ≥ 1 as large as the binomial distribution allows. It comes
    down to the percentile itself as n grows.
    """
    above = _allowed(len(values), 1 - percent / 100)
    return sorted(values)[len(values) - above] if above >= 1 else None


def _allowed(count: int, share: float) -> int:
    """The largest t with P(Binomial(count, share) ≤ t) < 1 - CONFIDENCE; -1 if there is none."""
    k = np.arange(1, count + 1)
    # log of the binomial probabilities, each from the one before it
    steps = np.log((count - k + 1) / k * (share / (1 - share)))
    logs = count * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])
    odds = np.cumsum(np.exp(logs))
    return int(np.searchsorted(odds, 1 - CONFIDENCE, side="left")) - 1


def summary(latencies_ms: Sequence[float]) -> dict[str, Any]:
    """What is told of the runs of a row, in milliseconds.

    `p90_ms` is the headline and `p99_ms` its like, both with confidence (`sure`); `p50_ms` and
    `p90_nearest_ms` are by nearest rank.
    """
    return {
        "runs": len(latencies_ms),
        "p50_ms": nearest_rank(latencies_ms, 50),
        "p90_ms": sure(latencies_ms, 90),
        "p90_nearest_ms": nearest_rank(latencies_ms, 90),
        "p99_ms": sure(latencies_ms, 99),
    }
