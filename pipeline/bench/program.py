"""A row of the C++ runner: its own measuring loop, by `edge-runner bench`."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.bench.inputs import Row, batches_of
from pipeline.bench.request import Request
from pipeline.runtimes import RUNTIMES
from pipeline.runtimes.cpp_draft import write_draft
from pipeline.runtimes.cpp_process import command

# The same as the Python rows have: clocks and caches settle.
WARM_SECONDS = 0.5
THROUGHPUT_RUNS, THROUGHPUT_SECONDS = 8, 1.0

TAKEN = (
    *("baseline_bytes", "load_ms", "first_ms", "warmup_runs", "runs", "latencies_ms"),
    *("p50_ms", "p90_ms", "p99_ms", "peak_bytes", "threads", "runner"),
)


def measure_program(
    request: Request, rows: list[Row], begin: Callable[[str], None], result: dict[str, Any]
) -> None:
    """Fills `result` as the worker does for the runtimes of Python; `begin` names each part.

    The samples are those of the commonest shape. Raises RuntimeError, one line, with what the
    program says.
    """
    assert request.artifact is not None
    each = request.fixed_batch or 1
    with tempfile.TemporaryDirectory(dir=Path(request.result).parent) as folder:
        draft = Path(folder) / "draft.bundle"
        format = RUNTIMES[request.runtime].format
        write_draft(
            draft,
            Path(request.artifact),
            format,
            request.asked.signature,
            request.made_for,
            _alike(batches_of(rows, each)),
        )

        def run(batch: int, warm_runs: int, warm: float, runs: int, seconds: float) -> Any:
            options = {
                "--batch": batch,
                "--warm-up-runs": warm_runs,
                "--warm-up": warm,
                "--runs": runs,
                "--seconds": seconds,
            }
            words = [str(word) for option in options.items() for word in option]
            return _answer(command("bench", draft, format, request.asked, "--json", *words))

        begin("latency")
        found = run(1, request.warmup_runs, WARM_SECONDS, request.runs, request.seconds)
        result |= {name: found[name] for name in TAKEN}
        result |= {"batch": each, "throughput": {str(each): each * found["throughput"]["1"]}}
        for size in request.batch_sizes if request.fixed_batch is None else ():
            if size == each:
                continue
            begin(f"batches of {size}")
            seconds = min(THROUGHPUT_SECONDS, request.seconds)
            result["throughput"] |= run(size, 2, 0, THROUGHPUT_RUNS, seconds)["throughput"]


def _alike(batches: list[list[Any]]) -> list[list[Any]]:
    """Those of the commonest shapes: the program measures runs that do the same work."""
    shapes = [tuple(array.shape for array in batch) for batch in batches]
    commonest = max(shapes, key=shapes.count)
    return [batch for batch, shape in zip(batches, shapes, strict=True) if shape == commonest]


def _answer(words: list[str]) -> Any:
    done = subprocess.run(  # noqa: S603  a program of ours
        words, check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"edge-runner: exit {done.returncode}"]
        raise RuntimeError(lines[-1].removeprefix("edge-runner: "))
    return json.loads(done.stdout)
