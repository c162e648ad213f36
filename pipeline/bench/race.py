"""Contestants in turns: one worker for each, of which one at a time is at work."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from pipeline.bench.conditions import Ticks, conditions
from pipeline.bench.request import Request, Turn
from pipeline.bench.spawn import Worker
from pipeline.measure.timing.contest import turns
from pipeline.measure.timing.percentiles import summary
from pipeline.system.progress import Bar

LIMIT_S = 1200.0  # a contestant that takes longer is given up
# Before a contestant's first turn, as MLPerf LoadGen's users do: clocks and caches settle. Before
# each later one its process has been warm already, and only what was opened anew warms up.
FIRST_WARM_S, NEXT_WARM_S = 0.5, 0.05

# What a row has where its worker came to no result.
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("load_ms", "first_ms", "p50_ms", "p90_ms", "p90_nearest_ms", "p99_ms")),
    **dict.fromkeys(("threads", "runs", "warmup_runs", "peak_bytes", "baseline_bytes")),
    "throughput": {},
    "runner": {},
}


class Raced:
    """What came of a contestant: a row of figures, and the milliseconds of every run by round."""

    def __init__(self, worker: Worker, batch: int, stolen: Sequence[float]) -> None:
        self.turns_ms = worker.turns_ms
        runs = [ms for turn in worker.turns_ms for ms in turn]
        rates = dict(worker.found["throughput"])
        if runs:
            rates[str(batch)] = batch * len(runs) / (sum(runs) / 1e3)
        ascending = dict(sorted(rates.items(), key=lambda rate: int(rate[0])))
        self.row: dict[str, Any] = {
            **NOTHING,
            **worker.found,
            **(summary(runs) if runs else {}),
            "batch": batch,
            "rounds": len(worker.turns_ms),
            "throughput": ascending,
            "steal_percent": max(stolen, default=0.0),
            "error": worker.error,
        }


def race(
    requests: Mapping[str, Request], rounds: int, seed: int, bar: Bar, limit_s: float = LIMIT_S
) -> tuple[dict[str, Raced], dict[str, Any]]:
    """By name what came of each, and the machine's conditions meanwhile.

    The processes are started together, since importing takes longest. From then on one works and
    the others wait; each opens its artifact at its turn and closes it behind, so that one session
    is alive at a time, and each turn has another layout in memory.
    """
    load, before = os.getloadavg(), Ticks.now()
    names = list(requests)
    stolen: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(request, limit_s))
            for name, request in requests.items()
        }
        for name, worker in workers.items():
            bar.advance(0, f"starting {name}")
            worker.ready()
            bar.advance()
        for number, contestant in turns(len(names), rounds):
            name = names[contestant]
            bar.advance(0, f"round {number + 1}: {name}")
            ticks = Ticks.now()
            warm = FIRST_WARM_S if number == 0 else NEXT_WARM_S
            workers[name].turn(Turn(seed + number, warm, last=number == rounds - 1))
            stolen[name].append(Ticks.now().stolen_since(ticks))
            bar.advance()
        found = {
            name: Raced(worker, requests[name].batch, stolen[name])
            for name, worker in workers.items()
        }
    return found, conditions(load, before)
