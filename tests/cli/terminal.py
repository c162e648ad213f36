"""A command in a terminal: a pseudoterminal of a set width, and what stays on its screen."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

from tests.command import Command

LINES = 1000  # more than any command says, so that nothing scrolls away
BAR = ("━", "╸", "╺")  # what bars are drawn with, and nothing else of ours
UNSET = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE")
PATIENCE_S = 300


@dataclass(frozen=True)
class Seen:
    """`written`: all bytes that reached the terminal; `piped`: those of a standard output that went
    elsewhere; `screen`: the lines that stay; `wrapped`: those that did not fit on one."""

    code: int
    written: bytes
    piped: str
    screen: tuple[str, ...]
    wrapped: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.screen)

    @property
    def has_drawn_a_bar(self) -> bool:
        return any(piece.encode() in self.written for piece in BAR)

    @property
    def remains(self) -> list[str]:
        """Lines on the screen with a piece of a bar in them."""
        return [line for line in self.screen if any(piece in line for piece in BAR)]


def pipeline_in_terminal(columns: int, *arguments: str | Path, pipe_output: bool = False) -> Seen:
    """Runs `pipeline ...`; its own output goes into a file if `pipe_output`."""
    ours, theirs = _terminal(columns)
    env = {**dict.fromkeys(UNSET), "TERM": "xterm-256color"}
    name = os.ttyname(theirs)
    with Command(*arguments, env=env, terminal=name, pipe_output=pipe_output) as command:
        os.close(theirs)
        try:
            written = _read(ours)
            code = command.wait(PATIENCE_S)
        finally:
            os.close(ours)
        return _seen(columns, code, written, command.said()[0])


def in_terminal(columns: int, command: Sequence[str]) -> Seen:
    """Runs a program with a terminal as its input, output and errors, and waits for its end."""
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    ours, theirs = _terminal(columns)
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
    ) as process:
        os.close(theirs)
        try:
            written = _read(ours)
            code = process.wait(PATIENCE_S)
        finally:
            process.kill()
            os.close(ours)
    return _seen(columns, code, written)


def _terminal(columns: int) -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return ours, theirs


def _seen(columns: int, code: int, written: bytes, piped: str = "") -> Seen:
    screen = _Screen(columns)
    pyte.ByteStream(screen).feed(written)
    lines = "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")
    return Seen(code, written, piped, tuple(lines), tuple(screen.wrapped))


class _Screen(pyte.Screen):
    """Keeps what was in a line when the next letter did not fit into it."""

    def __init__(self, columns: int) -> None:
        super().__init__(columns, LINES)
        self.wrapped: list[str] = []

    def draw(self, data: str) -> None:
        for letter in data:
            if self.cursor.x == self.columns:
                self.wrapped.append(self.display[self.cursor.y])
            super().draw(letter)


def _read(terminal: int) -> bytes:
    """Everything up to the end: a terminal ends with an error once nobody has it open."""
    found, until = bytearray(), time.monotonic() + PATIENCE_S
    while select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
        try:
            found += os.read(terminal, 1 << 16)
        except OSError:
            return bytes(found)
    raise TimeoutError(f"Nothing more within {PATIENCE_S} s:\n{found[-2000:]!r}")
