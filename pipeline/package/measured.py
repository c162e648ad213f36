"""How long each artifact takes here, as `bench` measured it: what the order of a bundle goes by."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.measure.timing.contest import ratio_of_medians
from pipeline.runtimes import RUNTIMES
from pipeline.workspace.results.bench import LATENCIES, Bench
from pipeline.workspace.results.ratio import CONTROL, Ratio

NOISE = 1.05  # times as long: where no rounds are at hand, less is within noise


@dataclass(frozen=True)
class Timing:
    """One row: the runtime, the median of its runs at batch 1 in ms, and all of them in ms, round
    by round (empty where `latencies.npz` lacks them). `control` is what a contestant came to
    against itself, where the measurement is void."""

    runtime: str
    p50_ms: float
    turns_ms: tuple[Sequence[float], ...] = ()
    control: Ratio | None = None


def measurably_slower(one: Timing, other: Timing) -> bool:
    """Whether `one` takes longer than `other` by more than noise.

    That is what `Ratio.tells` says of their rounds, as in every contest of `bench`: the 95 %
    interval of the ratio of medians lies above 1.02. Without rounds 5 % of p50 is taken for noise.
    In a void measurement what moved the control may have moved this as far: only what is left
    beyond that counts.
    """
    if len(one.turns_ms) == len(other.turns_ms) >= 2:
        ratio = ratio_of_medians(one.turns_ms, other.turns_ms)
    else:
        times = one.p50_ms / other.p50_ms
        ratio = Ratio(times, times / NOISE * CONTROL[1], times * NOISE * CONTROL[0])
    return (ratio.doubted(one.control) if one.control else ratio).tells == "slower"


def tells_nothing(bench: Bench) -> bool:
    """Whether the measurement is void, and nobody knows by how much."""
    return bench.void and _control(bench) is None


def best_timings(bench: Bench, folder: Path, ids: Collection[str]) -> dict[str, Timing]:
    """Of each of the artifacts `ids` that was measured here, its fastest row (by p50).

    The rows of the C++ runner count, since programs run a bundle in it, without Python around the
    call; those of Python where fewer artifacts have a row in C++. The two are never mixed: the C++
    runner sees the pictures of one size alone, so that its figures are of other work. Peers, the
    eager model, phones, and rows that ended in an error never count. `folder` has `latencies.npz`.
    """
    rows: tuple[dict[str, Timing], dict[str, Timing]] = ({}, {})
    for name, timing in _rows(bench, folder / LATENCIES):
        if name in ids:
            fastest = rows[RUNTIMES[timing.runtime].program]
            if name not in fastest or timing.p50_ms < fastest[name].p50_ms:
                fastest[name] = timing
    python, cpp = rows
    return cpp if len(cpp) >= len(python) else python


def _rows(bench: Bench, latencies: Path) -> list[tuple[str, Timing]]:
    arrays = dict(np.load(latencies)) if latencies.is_file() else {}
    control = _control(bench)
    return [
        (row.artifact, Timing(row.runtime, row.p50_ms, _turns(arrays, number), control))
        for number, row in enumerate(bench.rows)
        if row.runtime in RUNTIMES
        and row.p50_ms is not None
        and not (row.error or row.peer or row.device)
    ]


def _control(bench: Bench) -> Ratio | None:
    """Of a void measurement what its control came to, where that is known."""
    return bench.control.ratio if bench.void else None


def _turns(arrays: Mapping[str, Any], number: int) -> tuple[Sequence[float], ...]:
    """The runs of row `number`, cut into its rounds."""
    if f"{number}.rounds" not in arrays:
        return ()
    ends = np.cumsum(arrays[f"{number}.rounds"])
    return tuple(part.tolist() for part in np.split(arrays[f"{number}.ms"], ends[:-1]))
