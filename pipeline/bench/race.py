"""Contestants in turns: one worker for each, of which one at a time is at work."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from pipeline.bench.conditions import Ticks, conditions
from pipeline.bench.plan import Item
from pipeline.bench.request import Request, Turn
from pipeline.bench.spawn import Worker
from pipeline.measure.timing.contest import ratio_of_medians, turns
from pipeline.measure.timing.percentiles import summary
from pipeline.system.progress import Bar, Reporter
from pipeline.workspace.results.bench import Conditions, Control, Figures
from pipeline.workspace.results.ratio import CONTROL, Ratio

LIMIT_S = 1200.0  # a contestant that takes longer is given up
# Before a contestant's first turn, as MLPerf LoadGen's users do: clocks and caches settle. Before
# each later one its process has been warm already, and only what was opened anew warms up.
FIRST_WARM_S, NEXT_WARM_S = 0.5, 0.05


class Raced:
    """What came of a contestant: its figures, and the milliseconds of every run by round."""

    def __init__(self, worker: Worker, batch: int, stolen: Sequence[float]) -> None:
        self.turns_ms = worker.turns_ms
        runs = [ms for turn in worker.turns_ms for ms in turn]
        rates = dict(worker.throughput)
        if runs:
            rates[str(batch)] = batch * len(runs) / (sum(runs) / 1e3)
        self.figures = Figures(
            **worker.figures,
            **(summary(runs) if runs else {}),
            throughput=dict(sorted(rates.items(), key=lambda rate: int(rate[0]))),
            batch=batch,
            rounds=len(worker.turns_ms),
            steal_percent=max(stolen, default=0.0),
            error=worker.error,
        )


def race(
    requests: Mapping[str, Request], rounds: int, seed: int, bar: Bar, limit_s: float = LIMIT_S
) -> tuple[dict[str, Raced], Conditions]:
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
        raced = {
            name: Raced(worker, requests[name].batch, stolen[name])
            for name, worker in workers.items()
        }
    return raced, conditions(load, before)


def ratio(ours: Raced, theirs: Raced) -> Ratio | None:
    """Of two contestants' medians; None where one of them has not done all its rounds."""
    if ours.figures.error or theirs.figures.error:
        return None
    return ratio_of_medians(ours.turns_ms, theirs.turns_ms)


def control_of(item: Item, first: Raced, again: Raced) -> Control:
    """The A/A control: the same twice. A method that finds a difference there finds it anywhere."""
    measured = ratio(first, again)
    return Control(
        artifact=item.artifact_id,
        runtime=item.runtime,
        ratio=measured,
        allowed=list(CONTROL),
        steady=measured.steady if measured else False,
    )


def warn_if_void(report: Reporter, control: Control) -> None:
    """Why a run says nothing of small differences."""
    if control.ratio is None:
        report.warn(f"The measurement is void: {control.trouble}.")
    elif not control.steady:
        report.warn(
            f"The measurement is void: {control.trouble}. Something else is at work here; measure "
            "again when it is not, or longer ([bench] seconds)."
        )
