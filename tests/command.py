"""`pipeline ...` in a process of its own, forked from a server that has torch already.

To import torch and what comes with it takes most of the time of a short command. Where it matters
how a process starts, or what is printed while libraries are imported, a test starts Python itself.
"""

import atexit
import contextlib
import multiprocessing
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.preloaded"])

HELPERS = re.compile(r"multiprocessing\.(forkserver|resource_tracker)")
PLAIN = {"COLUMNS": "200", "NO_COLOR": "1"}


class Command:
    """A running `pipeline ...`, in a session of its own. What it says goes into files, or to a
    terminal (`/dev/pts/N`), its output into a file all the same if `pipe_output`.

    `env` is added to this process's, without what is None. What libraries read when they are
    imported has no effect.
    """

    def __init__(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        terminal: str | None = None,
        pipe_output: bool = False,
    ) -> None:
        self.arguments = ["pipeline", *map(str, arguments)]
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        environment = {**os.environ, **PLAIN, **(env or {})}
        files = (terminal or os.devnull, terminal or folder / "out", terminal or folder / "err")
        if pipe_output:
            files = (files[0], folder / "out", files[2])
        listening, started = SERVER.Pipe(duplex=False)
        self._process = SERVER.Process(
            target=_pipeline,
            args=(
                self.arguments,
                cwd or Path.cwd(),
                {key: value for key, value in environment.items() if value is not None},
                files,
                started,
            ),
        )
        self._process.start()
        started.close()
        with contextlib.suppress(EOFError), listening:  # the end of a process that was killed
            listening.recv()  # it has opened the files

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; -N where signal N ended it."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout)
        return self.returncode

    def said(self) -> tuple[str, str]:
        """Its standard output and its errors so far."""
        files = [Path(self._folder.name) / name for name in ("out", "err")]
        out, err = (file.read_text(encoding="utf-8") if file.exists() else "" for file in files)
        return out, err

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.returncode is None:
            self.send(signal.SIGKILL)
            self._process.join()
        self._process.close()
        self._folder.cleanup()


def run(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    timeout: float = 600,
) -> "subprocess.CompletedProcess[str]":
    """Runs `pipeline ...` to its end, as subprocess.run does."""
    with Command(*arguments, cwd=cwd, env=env) as command:
        code = command.wait(timeout)
        out, err = command.said()
        return subprocess.CompletedProcess(command.arguments, code, out, err)


def children() -> set[psutil.Process]:
    """What this process has started and is still there, but for the fork server and its helper."""
    own = psutil.Process().children()
    mine = [one for one in own if not HELPERS.search(" ".join(one.cmdline()))]
    return {*mine, *(child for one in mine for child in one.children(recursive=True))}


def _pipeline(
    words: list[str],
    cwd: Path,
    environment: dict[str, str],
    files: tuple[str | Path, ...],
    started: Connection,
) -> None:
    """What `python -m pipeline.cli` does, in a process that was forked."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(cwd)
    for number, file in enumerate(files):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)  # a terminal becomes its session's
        os.dup2(opened, number)
        os.close(opened)
    started.send(None)
    started.close()
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, encoding="utf-8", buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = list(words)
    added = environment.get("PYTHONPATH")
    sys.path[:0] = [str(cwd), *(added.split(os.pathsep) if added else [])]
    multiprocessing.current_process().name = "MainProcess"
    try:
        runpy.run_module("pipeline.cli", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()
