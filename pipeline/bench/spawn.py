"""A worker process from its start to its end, however that comes."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import Any, Self

from pipeline.bench.request import Request, Turn


class WorkerError(Exception):
    """A mistake of this program's in a worker."""


class Worker:
    """One contestant. `figures` are what the first turn measured of a fresh process, by the names
    of `Figures`, `throughput` samples per second by batch size, `turns_ms` the milliseconds of
    every run, a list for each turn; `error` says what ended it early, else it is None.

    The process and what it may have started are gone when the block is left.
    """

    def __init__(self, request: Request, limit_s: float) -> None:
        self.figures: dict[str, Any] = {}
        self.throughput: dict[str, float] = {}
        self.turns_ms: list[list[float]] = []
        self.error: str | None = None
        self._limit_s = limit_s
        self._left_s = limit_s
        self._part = ""
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._process = subprocess.Popen(
            # -P: a file of the user's that is called random.py is not Python's.
            [sys.executable, "-P", "-m", "pipeline.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": str(request.threads)},
            start_new_session=True,
        )
        self._write(request.to_line())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._errors.close()

    def ready(self) -> None:
        """Waits until everything is imported."""
        self._until("ready")

    def turn(self, turn: Turn) -> None:
        """Does a turn, unless an error came before."""
        if self.error is None:
            self._write(turn.to_line())
            self._until("done")

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()  # and left open: its end would be the worker's
        except BrokenPipeError:
            self._fail(self._death() or "the worker did not listen")

    def _until(self, end: str) -> None:
        """Takes in what the worker says until it says `end`, or fails."""
        start = time.monotonic()
        while self.error is None:
            line = self._line(start + self._left_s)
            if line is None:
                self._fail(f"took more than {self._limit_s:g} s")
            elif not line:
                self._fail(self._death() or "the worker ended")
            elif end in self._take(json.loads(line)):
                break
        self._left_s -= time.monotonic() - start

    def _take(self, message: dict[str, Any]) -> dict[str, Any]:
        if "internal" in message:
            trace = message["internal"].strip()
            error = WorkerError(f"in a worker: {trace.splitlines()[-1]}")
            error.add_note(trace)
            raise error
        self._part = message.get("begin", self._part)
        part = dict(message.get("part", {}))
        if "latencies_ms" in part:
            self.turns_ms.append(part.pop("latencies_ms"))
        self.throughput |= part.pop("throughput", {})
        self.figures = {**part, **self.figures}
        if "error" in message:
            self.error = message["error"]
        return message

    def _line(self, deadline: float) -> bytes | None:
        """The next line; empty at the end of the output, None after the deadline."""
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([number], [], [], left)[0]:
                return None
            more = os.read(number, 1 << 20)
            if not more:
                return b""
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _fail(self, what: str) -> None:
        self._end()
        self._errors.seek(0)
        last = _last_line(self._errors.read())
        during = f" while measuring {self._part}" if self._part else ""
        self.error = self.error or f"{what}{during}{f': {last}' if last else ''}"

    def _death(self) -> str | None:
        """What became of a process that has ended or is about to."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return None
        if status < 0:
            return f"the worker was ended by {signal.Signals(-status).name}"
        return f"the worker ended with status {status}"

    def _end(self) -> None:
        """Ends the process and its group, and waits for it."""
        process = self._process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # a line in the buffer that nobody will read
            process.stdin.close()
        process.stdout.close()


def _last_line(content: bytes) -> str:
    lines = content.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
