"""Turns of a contestant in the C++ runner: its own measuring loop, by `edge-runner bench`."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.bench.inputs import batches_of, load
from pipeline.bench.request import Request, Turn
from pipeline.runtimes import RUNTIMES, RunnerError
from pipeline.runtimes.cpp_draft import write_draft
from pipeline.runtimes.cpp_process import command

THROUGHPUT_RUNS = 8  # as the rows of Python have

TAKEN = (
    *("baseline_bytes", "load_ms", "first_ms", "warmup_runs", "latencies_ms"),
    *("peak_bytes", "threads", "runner"),
)


class ProgramTurns:
    """A process of the program for each turn, on a bundle that is written once.

    The samples are those of the commonest shape. A turn raises RuntimeError, one line, with what
    the program says.
    """

    def __init__(self, request: Request, say: Callable[..., None]) -> None:
        assert request.artifact is not None
        self._request = request
        self._say = say
        self._folder = tempfile.TemporaryDirectory(dir=request.folder)
        self._draft = Path(self._folder.name) / "draft.bundle"
        rows = load(Path(request.inputs))
        write_draft(
            self._draft,
            Path(request.artifact),
            RUNTIMES[request.runtime].format,
            request.asked.signature,
            request.made_for,
            _alike(batches_of(request.asked.signature, rows, request.batch)),
        )

    def __call__(self, turn: Turn) -> None:
        request = self._request
        self._say(begin="latency")
        answer = self._run(
            turn.seed, 1, (request.warmup_runs, turn.warm_seconds), (request.runs, request.seconds)
        )
        self._say(part={name: answer[name] for name in TAKEN})
        for size in request.other_sizes if turn.last else ():
            self._say(begin=f"batches of {size}")
            answer = self._run(turn.seed, size, (2, 0.0), (THROUGHPUT_RUNS, request.batch_seconds))
            self._say(part={"throughput": answer["throughput"]})

    def _run(
        self, seed: int, batch: int, warm_up: tuple[int, float], measured: tuple[int, float]
    ) -> Any:
        """What the program answers. `warm_up` and `measured` are at least (runs, seconds)."""
        options = {
            "--seed": seed,
            "--batch": batch,
            "--warm-up-runs": warm_up[0],
            "--warm-up": warm_up[1],
            "--runs": measured[0],
            "--seconds": measured[1],
        }
        words = [str(word) for option in options.items() for word in option]
        format = RUNTIMES[self._request.runtime].format
        return _answer(command("bench", self._draft, format, self._request.asked, "--json", *words))


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
        raise RunnerError(lines[-1].removeprefix("edge-runner: "))
    return json.loads(done.stdout)
