"""All that a person sees: progress, notes, tables, error panels. Only this and `cli.py` print."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
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
from rich.table import Table
from rich.text import Text

from pipeline.errors import PipelineError
from pipeline.progress import Bar

COLOURS = {
    "pass": "green",
    "fresh": "green",
    "ok": "green",
    "fail": "bold red",
    "damaged": "bold red",
    "missing": "yellow",
    "stale": "yellow",
    "warn": "yellow",
    "inconclusive": "yellow",
}


class Terminal:
    """The `Reporter` of the command line.

    With `json_only` nothing for people reaches standard output: it goes to standard error.
    """

    def __init__(self, json_only: bool = False) -> None:
        self.console = Console(stderr=json_only, highlight=False)
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
    Console(stderr=True, highlight=False).print(
        Panel(
            body,
            title="interrupted" if interrupted else "error",
            title_align="left",
            border_style="yellow" if interrupted else "red",
        )
    )


def status_table(states: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("stage", "state", "why")
    for state in states:
        table.add_row(state["stage"], word(state["state"]), escape("\n".join(state["why"])))
    return table


def verdict_table(verdict: Mapping[str, Any]) -> Table:
    metric = verdict["metric"]
    name = metric["name"] if metric else "metric"
    table = _table(
        "artifact", "runtime", ">max abs", ">relative", ">cosine", ">SQNR", ">top-1", f">{name}",
        ">drop", "verdict",
    )  # fmt: skip
    if metric:
        table.add_row(
            "reference",
            "eager",
            *[""] * 5,
            _number(metric["reference"], ".4f"),
            "",
            "",
            style="dim",
        )
    for row in verdict["rows"]:
        table.add_row(
            row["artifact"],
            row["runtime"],
            _number(row["max_abs"], ".2e"),
            _number(row["max_rel"], ".2e"),
            _number(row["cosine"], ".6f"),
            _number(row["sqnr_db"], ".1f", " dB") if row["max_abs"] else "exact",
            _number(row["top1"], ".2%"),
            _number(row["metric"], ".4f"),
            _number(row["drop"], "+.4f"),
            word(row["verdict"]),
        )
    return table


def bench_table(bench: Mapping[str, Any]) -> Table:
    sizes = sorted({int(size) for row in bench["rows"] for size in row["throughput"] or {}})
    table = _table(
        "artifact", "runtime", ">load ms", ">first ms", ">p50 ms", ">p90 ms", ">p99 ms",
        *(f">/s at {size}" for size in sizes), ">peak MB", ">file kB",
    )  # fmt: skip
    for row in bench["rows"]:
        if row.get("error"):
            table.add_row(row["artifact"], row["runtime"], f"[red]{escape(row['error'])}[/]")
            continue
        table.add_row(
            row["artifact"],
            row["runtime"],
            *(_number(row[key], ".3f") for key in ("load_ms", "first_ms")),
            *(_number(row[key], ".3f") for key in ("p50_ms", "p90_ms", "p99_ms")),
            *(_number(row["throughput"].get(str(size)), ",.0f") for size in sizes),
            _number(_scaled(row["peak_bytes"], 1e6), ",.0f"),
            _number(_scaled(row["file_bytes"], 1e3), ",.1f"),
        )
    return table


def checks_table(checks: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("what", "found", "wanted", "status", "remedy")
    for check in checks:
        table.add_row(
            escape(check["name"]),
            escape(check["found"]),
            escape(check["wanted"]),
            word(check["status"]),
            escape(check["remedy"] or ""),
        )
    return table


def facts(data: Any, depth: int = 0) -> Iterator[str]:
    """Nested JSON as indented lines, for `pipeline inspect`."""
    pad = "  " * depth
    if isinstance(data, Mapping):
        for key, value in data.items():
            if isinstance(value, Mapping | list) and value:
                yield f"{pad}[bold]{escape(str(key))}[/]"
                yield from facts(value, depth + 1)
            else:
                yield f"{pad}{escape(str(key))}: {escape(_plain(value))}"
    elif isinstance(data, list):
        for item in data:
            if isinstance(item, Mapping):
                yield pad + escape("  ".join(f"{k}={_plain(v)}" for k, v in item.items()))
            else:
                yield pad + escape(_plain(item))


def word(state: str) -> str:
    """A state or verdict in its colour."""
    return f"[{COLOURS.get(state, 'white')}]{state}[/]"


def _table(*columns: str) -> Table:
    """A column that starts with `>` is for numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        numeric = column.startswith(">")
        table.add_column(
            column.lstrip(">"), justify="right" if numeric else "left", no_wrap=numeric
        )
    return table


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value / by


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return str(value) if not isinstance(value, list | dict) else json.dumps(value)
