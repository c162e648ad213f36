"""A table that fits the terminal: what there is no room for is left out, and said, never cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_GAP = 2  # blanks between columns
_LEAST = 16  # letters of a column that may wrap


@dataclass(frozen=True)
class Column:
    """`whole`: no cell of it is ever wrapped, as numbers and names are read at a glance."""

    title: str
    numeric: bool = False
    whole: bool = True


class FittedTable:
    """Rows of cells with markup. `least` are titles of columns that may be left out, the one that
    is missed least first; columns that say nothing in any row go before them, without a word.
    `has_all` is where a reader finds what was left out."""

    def __init__(
        self,
        columns: Sequence[Column],
        least: Sequence[str] = (),
        has_all: str = "--json",
        header_style: str = "bold",
    ) -> None:
        self.columns = tuple(columns)
        self.least = tuple(least)
        self.has_all = has_all
        self.header_style = header_style
        self.rows: list[tuple[tuple[str, ...], str | None]] = []

    def add_row(self, *cells: str, style: str | None = None) -> None:
        """Cells that are missing at the end are empty."""
        missing = len(self.columns) - len(cells)
        self.rows.append(((*cells, *[""] * missing), style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [self._width(index) for index in range(len(self.columns))]
        shown, left_out = self._fitting(widths, options.max_width)
        yield self._table(shown, _total(widths, shown) <= options.max_width)
        if left_out:
            names = ", ".join(left_out).replace("\n", " ")
            note = f"no room for {names}: a wider terminal or {self.has_all} has all"
            yield Text(note, style="dim")

    def _fitting(self, widths: Sequence[int], room: int) -> tuple[list[int], list[str]]:
        """The columns that fit, by number, and the titles of those that are left out."""
        shown = list(range(len(self.columns)))
        if _total(widths, shown) > room:
            shown = [index for index in shown if not self._says_nothing(index)]
        left_out = []
        for title in self.least:
            index = next((i for i in shown if self.columns[i].title == title), None)
            if index is not None and _total(widths, shown) > room:
                shown.remove(index)
                left_out.append(title)
        return shown, left_out

    def _width(self, index: int) -> int:
        """What a column needs at least."""
        column = self.columns[index]
        texts = [column.title, *(Text.from_markup(cells[index]).plain for cells, _ in self.rows)]
        widest = max(cell_len(line) for text in texts for line in text.split("\n"))
        return widest if column.whole else min(widest, _LEAST)

    def _says_nothing(self, index: int) -> bool:
        return bool(self.rows) and all(cells[index] in ("", "–") for cells, _ in self.rows)

    def _table(self, shown: Sequence[int], fits: bool) -> Table:
        table = Table(
            box=None, pad_edge=False, header_style=self.header_style, padding=(0, _GAP, 0, 0)
        )
        for index in shown:
            column = self.columns[index]
            table.add_column(
                column.title,
                justify="right" if column.numeric else "left",
                no_wrap=column.whole and fits,  # where nothing helps, a name goes on below itself
                overflow="fold",
            )
        for cells, style in self.rows:
            table.add_row(*(cells[index] for index in shown), style=style)
        return table


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[index] for index in shown) + _GAP * (len(shown) - 1)
