"""Progress bars for the terminal: each one line, and what libraries print stands above it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from pipeline.system.silence import Stream

WIDE = 100  # columns, from which on a bar has its whole length
LENGTHS = (24, 12, 6)  # of a bar, the last where there is hardly room
LEAST_TEXT = 12  # letters of the text that are worth more than the times
REDRAWS = 5  # a second: each is 200 bytes, which a slow line or a log of a session must carry


class Bars:
    """Draws bars on a console, if that is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.drawing = False
        self._above = [_Above(self, stream) for stream in (sys.stdout, sys.stderr)]
        if console.is_terminal:
            # For good: who takes a stream now, such as a handler of `logging`, keeps it.
            sys.stdout, sys.stderr = self._above

    @contextmanager
    def bar(self, description: str, total: float | None) -> Iterator["RichBar"]:
        with Progress(
            _Line(),
            console=self.console,
            transient=True,
            refresh_per_second=REDRAWS,
            disable=not self.console.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as progress:
            outer, self.drawing = self.drawing, not progress.disable
            try:
                yield RichBar(progress, progress.add_task(description, total=total, text=""))
            finally:
                for stream in self._above:
                    stream.end_line()
                self.drawing = outer


class RichBar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: float = 1, text: str = "") -> None:
        if text:
            self._progress.update(self._task, advance=steps, text=text)
        else:
            self._progress.update(self._task, advance=steps)

    def draw(self) -> None:
        """Now, and not at the next redraw."""
        self._progress.refresh()


class _Above(Stream):
    """Prints whole lines above the bar while there is one.

    What has no end yet waits for it; of a bar that a library draws by itself, with `\\r`, the last
    state is kept.
    """

    def __init__(self, bars: Bars, stream: TextIO) -> None:
        super().__init__(stream)
        self._bars = bars
        self._lock = threading.RLock()
        self._line = ""

    def write(self, text: str) -> int:
        if not self._bars.drawing:
            return self.stream.write(text)
        with self._lock:
            *lines, self._line = (self._line + text).split("\n")
            self._line = _last_state(self._line)
            for line in lines:
                self._print(line)
        return len(text)

    def end_line(self) -> None:
        with self._lock:
            line, self._line = self._line, ""
            if line:
                self._print(line)

    def _print(self, line: str) -> None:
        self._bars.console.print(Text.from_ansi(_last_state(line)), soft_wrap=True)


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class _Line(ProgressColumn):
    """All of a bar in one column, which alone knows how much room there is."""

    max_refresh = None

    def render(self, task: Task) -> RenderableType:
        return _Fitting(task)


class _Fitting:
    """What fits into the line, by importance: what is done, how far, the text, how long still."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - 1  # a terminal that is full to the last column may wrap
        length = LENGTHS[0] if options.max_width >= WIDE else LENGTHS[1]
        what = Text(f"  {self.task.description}")
        count = MofNCompleteColumn().render(self.task)
        times = [TimeElapsedColumn().render(self.task), TimeRemainingColumn().render(self.task)]
        if sum(map(_cells, (what, count))) + 2 + length > room:
            length = LENGTHS[-1]
        what.truncate(max(1, room - length - 2 - count.cell_len), overflow="ellipsis")
        cells = [what, count]
        left = room - sum(map(_cells, cells)) - length - 1
        text = self.task.fields["text"]
        wanted = min(len(text), LEAST_TEXT) + 1 if text else 0
        for time in times:
            if time.plain and _cells(time) + wanted <= left:
                cells.append(time)
                left -= _cells(time)
        shown = Text(_parts(text, left - 1))
        grid = Table.grid(padding=(0, 1, 0, 0))
        bar = BarColumn(length).render(self.task)
        row: list[RenderableType] = [what, bar, *cells[1:], shown]
        for _ in row:
            grid.add_column(no_wrap=True)
        grid.add_row(*row)
        yield grid


def _cells(text: Text) -> int:
    """With the blank behind it."""
    return text.cell_len + 1


def _parts(text: str, room: int) -> str:
    """As many of the parts between commas as there is room for; a first that is too long is cut."""
    if len(text) <= room:
        return text
    parts = text.split(", ")
    while len(parts) > 1 and len(", ".join(parts)) > room:
        parts.pop()
    line = Text(", ".join(parts))
    line.truncate(max(0, room), overflow="ellipsis")
    return line.plain
