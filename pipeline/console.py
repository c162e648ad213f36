"""All that a person sees: progress, notes, error panels. Only this and `cli.py` print."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.errors import PipelineError
from pipeline.progress import Bar

# What a table needs; where nobody set a width and nobody looks, as in a log, 80 is too little.
_LOG_WIDTH = 120


class Terminal:
    """The `Reporter` of the command line.

    With `json_only` nothing for people reaches standard output: it goes to standard error.
    """

    def __init__(self, json_only: bool = False) -> None:
        self.console = _console(stderr=json_only)
        self._warned: set[str] = set()

    def note(self, text: str) -> None:
        self.console.print(f"  {escape(text)}", soft_wrap=True)

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self.console.print(f"  [yellow]![/] {escape(text)}", soft_wrap=True)

    @contextmanager
    def bar(self, description: str, total: float | None) -> Iterator[Bar]:
        with Progress(
            TextColumn("  {task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as progress:
            yield _RichBar(progress, progress.add_task(escape(description), total=total, text=""))

    def show(self, item: Any) -> None:
        self.console.print(item)


class _RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: float = 1, text: str = "") -> None:
        if text:
            self._progress.update(self._task, advance=steps, text=escape(text))
        else:
            self._progress.update(self._task, advance=steps)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


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
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_WIDTH
    return console
