"""`edge-runner exec` as a runner: arrays go in and come out as frames through pipes.

A frame is 4 bytes little-endian, the length of a JSON object in UTF-8; that object; and the numbers
of the tensors that its `tensors` lists, one behind the other, little-endian and in C order.
docs/cpp-runner.md has the keys.
"""

import contextlib
import json
import math
import signal
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.config.export import Format
from pipeline.formats.table import FORMATS
from pipeline.graph.array import Array
from pipeline.runner.program import words
from pipeline.runner.sources import Target
from pipeline.runtimes import Asked, RunnerError, failure
from pipeline.runtimes.cpp_draft import ID, write_draft

# What starts a program that answers for the artifact `ID` of a bundle.
Start = Callable[[Path], list[str]]
PROGRAMS = {"cpp": "edge-runner", "arm64": "edge-runner", "jvm": "the app's core"}


class ProgramRunner:
    """One artifact in a process of its own, which ends with this one."""

    def __init__(
        self, artifact: Path, format: Format, asked: Asked, start: Start, where: str = "cpp"
    ) -> None:
        """`start` gives the words that start the program on a bundle; with `where` the names of its
        runtimes begin. Raises RuntimeError, one line, if the program does not take the file."""
        self._artifact = artifact
        self._where = where
        self._draft = tempfile.TemporaryDirectory(prefix="edge-pipeline-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            folder = Path(self._draft.name) / "draft.bundle"
            write_draft(folder, artifact, format, asked.signature, asked.made_for)
            self._process = subprocess.Popen(  # noqa: S603  a program of ours
                start(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is for us to answer
            )
            self._hello = self._read()[0]
        except BaseException:
            self.close()
            raise

    def run(self, inputs: list[Array]) -> list[Array]:
        stdin = self._pipes()[0]
        try:
            _write_frame(stdin, inputs)
        except BrokenPipeError:
            raise RunnerError(self._end()) from None
        return self._read()[1]

    def close(self) -> None:
        process = self._process
        if process is not None and process.stdin and process.stdout:
            with contextlib.suppress(BrokenPipeError):  # it has ended
                process.stdin.close()  # which ends it
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._process = None
        self._errors.close()
        self._draft.cleanup()

    def describe(self) -> dict[str, Any]:
        runner: dict[str, Any] = self._hello["runner"]
        return {"runtime": f"{self._where}-{runner['backend']}", **runner}

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            raise RunnerError("the runner is closed")
        assert self._process.stdin is not None and self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def _read(self) -> tuple[dict[str, Any], list[Array]]:
        """The next frame. Raises RuntimeError with the program's error, or what became of it."""
        stdout = self._pipes()[1]
        try:
            header, arrays = _read_frame(stdout)
        except EOFError:
            raise RunnerError(self._end()) from None
        if "error" in header:
            said = f"{header['error']['message']} ({header['error']['code']})"
            raise failure(RuntimeError(said), self._artifact)
        return header, arrays

    def _end(self) -> str:
        """What became of a process that answers no more."""
        assert self._process is not None
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1][:300]}" if lines else ""
        how = signal.Signals(-status).name if status < 0 else f"exit {status}"
        return f"{PROGRAMS[self._where]} was ended by {how}{said}"


def edge_runner(
    artifact: Path, format: Format, asked: Asked, target: Target = "host"
) -> ProgramRunner:
    """An artifact in the C++ runner."""

    def start(draft: Path) -> list[str]:
        return command("exec", draft, format, asked, target=target)

    return ProgramRunner(artifact, format, asked, start, {"host": "cpp", "arm64": "arm64"}[target])


def command(
    what: str,
    draft: Path,
    format: Format,
    asked: Asked,
    *more: str,
    target: Target = "host",
) -> list[str]:
    """`edge-runner WHAT` on a draft."""
    spinning = ["--spinning"] if asked.alone else []
    return [
        *(*words(target), what, str(draft), "--artifact", ID, "--allow-failed"),
        *("--backend", FORMATS[format].backend, "--threads", str(asked.threads), *spinning, *more),
    ]


def _write_frame(stream: IO[bytes], arrays: list[Array]) -> None:
    tensors = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    header = json.dumps({"tensors": tensors}).encode()
    stream.write(struct.pack("<I", len(header)) + header)
    for array in arrays:
        stream.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    stream.flush()


def _read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array]]:
    """Raises EOFError where the stream ends."""
    (length,) = struct.unpack("<I", _exactly(stream, 4))
    header: dict[str, Any] = json.loads(_exactly(stream, length))
    arrays = []
    for tensor in header.pop("tensors", []):
        dtype, shape = np.dtype(tensor["dtype"]).newbyteorder("<"), tensor["shape"]
        content = _exactly(stream, math.prod(shape) * dtype.itemsize)
        array = np.frombuffer(bytearray(content), dtype).reshape(shape)
        arrays.append(array.astype(dtype.newbyteorder("="), copy=False))
    return header, arrays


def _exactly(stream: IO[bytes], count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content
