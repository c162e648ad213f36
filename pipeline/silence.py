"""Keeps libraries that print from printing."""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from typing import TextIO


class _Quiet(io.TextIOBase):
    """Drops what one thread prints; a progress bar that another one draws goes on."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self.thread:
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drops what this thread prints: torch.export its whole graph, torch.fx its tracebacks."""
    out, err = _Quiet(sys.stdout), _Quiet(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield
