"""Turns of a contestant that runs in this Python process."""

import gc
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.bench.inputs import batches_of, load
from pipeline.bench.memory import peak_bytes, reset_peak
from pipeline.bench.peers import PEERS
from pipeline.bench.request import Eager, Request, Turn
from pipeline.graph.array import Row
from pipeline.measure.timing.draw import draw
from pipeline.measure.timing.loop import measure, warm_up
from pipeline.runtimes import RUNTIMES, Runner, failure

THROUGHPUT_RUNS = 8

Say = Callable[..., None]


class SessionTurns:
    """Opens, measures and closes at each call: one session is alive at a time, here and in all."""

    def __init__(self, request: Request, say: Say) -> None:
        self._request = request
        self._say = say
        self._rows = load(Path(request.inputs))
        _import(request)
        gc.collect()
        reset_peak()
        self._say(part={"baseline_bytes": peak_bytes()})

    def __call__(self, turn: Turn) -> None:
        request = self._request
        self._say(begin="load time")
        start = time.perf_counter_ns()
        runner = _open(request, self._rows)
        load_ms = (time.perf_counter_ns() - start) / 1e6
        described = runner.describe()
        self._say(begin="latency")
        try:
            figures = _latency(request, turn, runner, self._rows)
            about = {"threads": described["threads"], "runner": described, "load_ms": load_ms}
            self._say(part={**about, **figures, "peak_bytes": peak_bytes()})
            for size in request.other_sizes if turn.last else ():
                self._say(begin=f"batches of {size}")
                self._say(part={"throughput": {str(size): self._rate(runner, turn, size)}})
        finally:
            runner.close()
            gc.unfreeze()

    def _rate(self, runner: Runner, turn: Turn, size: int) -> float:
        """Samples per second."""
        call = _drawing(
            self._request,
            runner,
            batches_of(self._request.asked.signature, self._rows, size),
            turn.seed,
        )
        warm_up(call, 2, 0)
        latencies = measure(call, THROUGHPUT_RUNS, self._request.batch_seconds)
        return size * len(latencies) / (sum(latencies) / 1e9)


def _latency(request: Request, turn: Turn, runner: Runner, rows: list[Row]) -> dict[str, Any]:
    call = _drawing(
        request, runner, batches_of(request.asked.signature, rows, request.batch), turn.seed
    )
    (first,) = measure(call, 1, 0)
    warm = warm_up(call, request.warmup_runs, turn.warm_seconds)
    gc.freeze()  # what exists by now is not looked through again: a pause of Python's, not a run's
    latencies = measure(call, request.runs, request.seconds)
    return {
        "first_ms": first / 1e6,
        "warmup_runs": warm,
        "latencies_ms": [nanoseconds / 1e6 for nanoseconds in latencies],
    }


def _drawing(
    request: Request, runner: Runner, batches: list[list[Any]], seed: int
) -> Callable[[int], object]:
    """Runs one batch a call; whatever the runner or the user's model raises is a RunnerError."""
    artifact = Path(request.artifact or f"{request.eager and request.eager.root}/model")

    def call(number: int) -> object:
        inputs = batches[draw(seed, number, len(batches))]
        try:
            return runner.run(inputs)
        except Exception as error:
            raise failure(error, artifact) from error

    return call


def _import(request: Request) -> None:
    """Loads the code that opening needs, so that its time and memory are not the artifact's."""
    if request.eager is None:
        (PEERS if request.peer else RUNTIMES)[request.runtime].why_not()
        return
    from pipeline.project.entries import ZOOS, load_entry

    importlib.import_module("pipeline.runtimes.eager")
    config = request.eager.to_config()
    zoo = (config.model.entry or "").partition(":")[0]
    if zoo in ZOOS:
        importlib.import_module("torchvision.models" if zoo == "torchvision" else zoo)
    elif config.model.entry:
        load_entry(config.model.entry, config.root, "model.entry")


def _open(request: Request, rows: list[Row]) -> Runner:
    if request.eager is not None:
        return _open_eager(request.eager, request.threads, rows)
    assert request.artifact is not None
    runtime = (PEERS if request.peer else RUNTIMES)[request.runtime]
    return runtime.open(Path(request.artifact), request.asked)


def _open_eager(eager: Eager, threads: int, rows: list[Row]) -> Runner:
    from pipeline.project.samples import Samples
    from pipeline.runtimes.eager import EagerRunner, wrapped_model

    names = tuple(eager.names) if eager.names else None
    samples = Samples(names, eager.keywords, rows[:1], None)
    return EagerRunner(wrapped_model(eager.to_config(), Path(eager.train), samples), threads)
