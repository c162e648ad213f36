"""Stands between libraries that print and the streams that they print to."""

import contextlib
import ctypes
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO


class Stream(io.TextIOBase):
    """A text stream in front of another; `write` is for a subclass to say.

    Whoever asks for its encoding, its number or its bytes finds them, since libraries do.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.stream.errors

    @property
    def buffer(self) -> "Any":
        return _Bytes(self)


class _Bytes(io.RawIOBase):
    """Where `print` would write its bytes: as text to the stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.stream.write(bytes(data).decode(self.stream.encoding, "replace"))
        return len(data)

    def flush(self) -> None:
        self.stream.flush()


class _Quiet(Stream):
    """Drops what one thread prints."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self.thread:
            self.stream.write(text)
        return len(text)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drops what this thread prints: torch.export its whole graph, torch.fx its tracebacks."""
    out, err = _Quiet(sys.stdout), _Quiet(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


@contextlib.contextmanager
def silent_output() -> Iterator[None]:
    """Drops what anything in this process writes to standard output, C++ included: the older ONNX
    exporter its whole graph. Bars are drawn on standard error."""
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    try:
        kept = os.dup(1)
    except OSError:  # it is closed: nothing is written there anyway
        yield
        return
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    try:
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
