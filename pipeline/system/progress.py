"""How a stage tells the user what goes on, without printing.

A stage gets a `Reporter` and never writes to the terminal itself; `console.py` implements it with
rich, tests and library users take `Silent`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """One progress bar."""

    def advance(self, steps: float = 1, text: str = "") -> None:
        """Move on by `steps`; a non-empty `text` replaces what stands beside the bar."""


class Reporter(Protocol):
    """What a stage tells of its progress."""

    def note(self, text: str) -> None:
        """One line that the user should see, such as a result."""

    def warn(self, text: str) -> None:
        """One line that the user should act on. The same text is shown once a run."""

    def bar(self, description: str, total: float | None) -> AbstractContextManager[Bar]:
        """A progress bar; `total` None where the end is not known."""


class _SilentBar:
    def advance(self, steps: float = 1, text: str = "") -> None: ...


class Silent:
    """Shows nothing; keeps notes and warnings for whoever asks."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    @contextmanager
    def bar(self, description: str, total: float | None) -> Iterator[Bar]:
        yield _SilentBar()
