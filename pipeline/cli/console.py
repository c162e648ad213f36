"""All that a person sees: progress, notes, error panels. Only this and `cli.py` print."""

import atexit
import functools
import json
import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from pipeline.cli.bars import Bars
from pipeline.errors import PipelineError
from pipeline.system.progress import Bar

if TYPE_CHECKING:
    from pipeline.workspace.results.base import Result

# What a table needs; where nobody set a width and nobody looks, as in a log, 80 is too little.
_LOG_WIDTH = 120


class Terminal:
    """The `Reporter` of the command line.

    With `json_only` nothing for people reaches standard output: it goes to standard error.
    """

    def __init__(self, json_only: bool = False) -> None:
        if json_only:
            _claim_output()
        self.console = _console(stderr=json_only)
        self._bars = Bars(self.console)
        self._warned: set[str] = set()

    def note(self, text: str) -> None:
        self._say(Text(text), "  ")

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._say(Text(text), "  [yellow]![/] ")

    def bar(self, description: str, total: float | None) -> AbstractContextManager[Bar]:
        return self._bars.bar(description, total)

    def show(self, item: Any) -> None:
        """A table, or a line with markup."""
        if isinstance(item, str):
            self._say(Text.from_markup(item))
        else:
            self.console.print(item)

    def _say(self, text: Text, head: str = "") -> None:
        """Wrapped between words where a person reads, and never in a log, which is searched."""
        first = Text.from_markup(head)
        room = self.console.width - first.cell_len
        longest = max(map(cell_len, text.plain.split()), default=0)
        if not self.console.is_terminal or longest > room:  # a path must stay whole
            self.console.print(first + text, soft_wrap=True)
            return
        for line in text.wrap(self.console, room):
            line.rstrip()
            self.console.print(first + line, soft_wrap=True)
            first = Text(" " * first.cell_len)


def print_json(result: "Result") -> None:
    """One JSON document on standard output, and nothing else."""
    out = _claim_output()
    out.write(json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
    out.flush()


@functools.cache
def _claim_output() -> TextIO:
    """Standard output, for a document alone: what anything else prints, a library in C or a child
    process among them, goes to standard error from now on."""
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    atexit.register(out.close)
    os.dup2(2, 1)
    return out


def show_error(error: PipelineError) -> None:
    """The message and the remedy, on standard error."""
    body = Text(error.message)
    if error.hint:
        body.append(f"\n\n{error.hint}", style="cyan")
    interrupted = error.exit_code == 130
    _console(stderr=True).print(
        Panel(
            body,
            title="interrupted" if interrupted else "error",
            title_align="left",
            border_style="yellow" if interrupted else "red",
        )
    )


def _console(stderr: bool) -> Console:
    """Bound to the stream of now: what is put in its place later must not take bars away."""
    console = Console(file=sys.stderr if stderr else sys.stdout, stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_WIDTH
    return console
