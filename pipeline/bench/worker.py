"""The process that measures one row: `python -m pipeline.bench.worker`.

The request comes as a line on the standard input, which the parent then keeps open: its end is the
parent's, and this process goes with it. The result is a file, written anew after each part, so
that a crash at batch 32 doesn't lose the latencies. What libraries print goes nowhere.
"""

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pipeline.bench.inputs import Row, batches_of, load
from pipeline.bench.loop import measure, nearest_rank, warm_up
from pipeline.bench.memory import peak_bytes, reset_peak
from pipeline.bench.program import measure_program
from pipeline.bench.request import Eager, Request
from pipeline.errors import PipelineError
from pipeline.runtimes import RUNTIMES, Runner

WARM_SECONDS = 0.5  # clocks and caches settle, TorchScript specializes
THROUGHPUT_RUNS, THROUGHPUT_SECONDS = 8, 1.0


def main() -> None:
    request = Request.from_line(sys.stdin.buffer.readline())
    threading.Thread(target=_go_with_the_parent, daemon=True).start()
    result: dict[str, Any] = {}
    try:
        _measure(request, result)
    except (PipelineError, RuntimeError) as error:
        result["error"] = str(error).partition("\n")[0]
        _write(request, result)


def _go_with_the_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(0, signal.SIGKILL)  # this process, which leads the group, and what it has started


def _measure(request: Request, result: dict[str, Any]) -> None:
    """Fills `result` and writes it after each part."""
    rows = load(Path(request.inputs))
    runtime = RUNTIMES.get(request.runtime)
    if runtime and runtime.program:
        measure_program(request, rows, lambda part: _begin(request, result, part), result)
        del result["measuring"]
        _write(request, result)
        return
    _import(request)
    gc.collect()
    reset_peak()
    result["baseline_bytes"] = peak_bytes()

    _begin(request, result, "load time")
    start = time.perf_counter_ns()
    runner = _open(request, rows)
    result["load_ms"] = (time.perf_counter_ns() - start) / 1e6
    described = runner.describe()
    result |= {"threads": described["threads"], "runner": described}

    _begin(request, result, "latency")
    _latency(request, runner, rows, result)
    result["peak_bytes"] = peak_bytes()
    _throughput(request, runner, rows, result)
    runner.close()


def _latency(request: Request, runner: Runner, rows: list[Row], result: dict[str, Any]) -> None:
    batches = batches_of(rows, request.fixed_batch or 1)

    def call(number: int) -> object:
        return runner.run(batches[number % len(batches)])

    (first,) = measure(call, 1, 0)
    warm = warm_up(call, request.warmup_runs, WARM_SECONDS)
    gc.freeze()  # what exists by now is not looked through again: a pause of Python's, not a run's
    latencies = measure(call, request.runs, request.seconds)
    ms = [nanoseconds / 1e6 for nanoseconds in latencies]
    result |= {
        "batch": request.fixed_batch or 1,
        "first_ms": first / 1e6,
        "warmup_runs": warm,
        "runs": len(ms),
        "latencies_ms": ms,
        **{f"p{percent}_ms": nearest_rank(ms, percent) for percent in (50, 90, 99)},
    }


def _throughput(request: Request, runner: Runner, rows: list[Row], result: dict[str, Any]) -> None:
    """Samples per second by batch size, as many as are done in the time that the runs took."""
    sizes = [request.fixed_batch] if request.fixed_batch else request.batch_sizes
    result["throughput"] = {}
    for size in sizes:
        if size == result["batch"]:
            latencies = [ms * 1e6 for ms in result["latencies_ms"]]
        else:
            _begin(request, result, f"batches of {size}")
            batches = batches_of(rows, size)

            def call(number: int, batches: list[Any] = batches) -> object:
                return runner.run(batches[number % len(batches)])

            warm_up(call, 2, 0)
            seconds = min(THROUGHPUT_SECONDS, request.seconds)
            latencies = list(map(float, measure(call, THROUGHPUT_RUNS, seconds)))
        result["throughput"][str(size)] = size * len(latencies) / (sum(latencies) / 1e9)
    del result["measuring"]
    _write(request, result)


def _import(request: Request) -> None:
    """Loads the code that opening needs, so that its time and memory are not the artifact's."""
    if request.eager is None:
        RUNTIMES[request.runtime].why_not()
        return
    from pipeline.project import ZOOS, load_entry

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
    return RUNTIMES[request.runtime].open(Path(request.artifact), request.asked)


def _open_eager(given: Eager, threads: int, rows: list[Row]) -> Runner:
    from pipeline.runtimes.eager import EagerRunner, wrapped_model
    from pipeline.samples import Samples

    names = tuple(given.names) if given.names else None
    samples = Samples(names, given.keywords, rows[:1], None)
    return EagerRunner(wrapped_model(given.to_config(), Path(given.train), samples), threads)


def _begin(request: Request, result: dict[str, Any], part: str) -> None:
    """Leaves word of what is under way, for the case that it is the last thing done."""
    result["measuring"] = part
    _write(request, result)


def _write(request: Request, result: dict[str, Any]) -> None:
    """Whole or not at all, since the parent reads it even after a crash."""
    path = Path(request.result)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(result), encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    main()
