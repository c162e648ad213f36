"""Results as tables for the terminal. `console.py` prints them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding

from pipeline.cli.fitted import Column, FittedTable

if TYPE_CHECKING:
    from pipeline.cli.outputs import Check, StageState
    from pipeline.workspace.results.bench import BenchRow, ComparedBench
    from pipeline.workspace.results.drift import Drift
    from pipeline.workspace.results.quantize import ExplainedFormat
    from pipeline.workspace.results.ratio import Ratio
    from pipeline.workspace.results.train import Profile
    from pipeline.workspace.results.verdict import Verdict, VerdictRow

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
    "faster": "green",
    "slower": "bold red",
    "can't tell": "yellow",
}
# Columns whose cells are names or single words, and are not wrapped.
WHOLE = ("artifact", "runtime", "stage", "state", "verdict", "status")
_SHORT_LIST = 12
_LONG_TABLE = 60  # rows, beyond which only what matters is shown


def word(state: str) -> str:
    """A state or verdict in its colour."""
    return f"[{COLOURS.get(state, 'white')}]{state}[/]"


def status_table(states: "Sequence[StageState]") -> FittedTable:
    table = _table("stage", "state", "why")
    for state in states:
        table.add_row(state.stage, word(state.state), escape("\n".join(state.why)))
    return table


def verdict_table(verdict: "Verdict") -> FittedTable:
    """One row for each artifact in each runtime; every figure is in verdict.json."""
    metric = verdict.metric
    name = metric.name if metric else "metric"
    table = _table(
        *("artifact", "runtime", ">max abs", ">SQNR", ">top-1", f">{name}", ">drop", "verdict"),
        least=("top-1", "max abs", "SQNR", name, "drop"),
        has_all="verdict.json",
    )
    if metric:
        reference = _number(metric.reference, ".4f")
        table.add_row("model", "eager PyTorch", "", "", "", reference, "", "", style="dim")
    for row in verdict.rows:
        table.add_row(
            row.artifact,
            _where(row),
            _number(row.max_abs, ".1e"),
            _number(row.sqnr_db, ".0f", " dB") if row.max_abs else "exact",
            _number(row.top1, ".2%"),
            _number(row.metric, ".4f"),
            _number(row.drop, "+.4f"),
            word(row.verdict),
        )
    return table


def _where(row: "VerdictRow | BenchRow") -> str:
    """The runtime, and below it the phone that it ran on: its name may be as long as a line."""
    return escape(f"{row.runtime}\n· {row.device}" if row.device else row.runtime)


def drift_table(drift: "Drift") -> FittedTable:
    """One row a layer; of many, the bad ones and those around them."""
    layers, shown = drift.layers, set(drift.culprits)
    bad = [index for index, layer in enumerate(layers) if layer.verdict == "fail"]
    near = {index + step for index in (*bad[:20], *shown) for step in (-2, -1, 0, 1)}
    table = _table(
        *("layer", "operator", "compared with", ">SQNR", ">its own", ">max abs", "verdict"),
        least=("max abs", "operator", "compared with"),
    )
    for index, layer in enumerate(layers):
        if len(layers) > _LONG_TABLE and index not in near and index % (len(layers) // 30 + 1):
            continue
        broken = f"{layer.not_finite} not finite" if layer.not_finite else None
        table.add_row(
            escape(layer.name),
            escape(layer.operator),
            escape(layer.reference),
            broken or _decibels(layer.sqnr_db, layer.max_abs),
            _decibels(layer.own_db, layer.own_max_abs),
            _number(layer.max_abs, ".1e"),
            word(layer.verdict),
        )
    return table


def _decibels(value: float | None, max_abs: float | None) -> str:
    if value is None:
        return "exact" if max_abs == 0 else "–"
    return f"{value:.0f} dB"


def bench_table(rows: "Sequence[BenchRow]") -> FittedTable:
    """p90 first, beside eager PyTorch's own; every figure is in bench.json."""
    table = _table(
        *("artifact", "runtime", ">p90 ms", ">p50 ms", ">times as fast\nas eager"),
        *(">load ms", ">samples/s", ">peak MB"),
        least=("load ms", "peak MB", "samples/s", "p50 ms", "times as fast\nas eager"),
        has_all="bench.json",
    )
    for row in rows:
        runtime = escape(f"{row.runtime} (peer)") if row.peer else _where(row)
        if row.error:
            table.add_row(row.artifact, runtime, "[red]failed[/]")  # a warning says why
            continue
        size, rate = max(row.throughput.items(), key=lambda item: item[1], default=("", None))
        table.add_row(
            row.artifact,
            runtime,
            _number(row.p90_ms, ".3f"),
            _number(row.p50_ms, ".3f"),
            # A phone against this machine's eager PyTorch says nothing of the artifact.
            "" if row.artifact == "eager" or row.device else times_as_fast(row.against_eager),
            _number(row.load_ms, ".1f"),
            _number(rate, ",.0f", f" (batch {size})"),
            _number(row.peak_bytes and row.peak_bytes / 1e6, ",.0f"),
        )
    return table


def times_as_fast(ratio: "Ratio | None") -> str:
    """A ratio of times the other way round, with its interval: `3.10 (3.05–3.21)`."""
    if ratio is None:
        return "–"
    return f"{1 / ratio.ratio:.2f} ({1 / ratio.high:.2f}–{1 / ratio.low:.2f})"


def compare_table(compared: "ComparedBench") -> FittedTable:
    """Ours against theirs, one row for each artifact in each runtime."""
    table = _table(
        *("artifact", "runtime", ">p90 ms", ">p50 ms"),
        *(">other p50", ">ratio of medians", "verdict"),
        least=("p90 ms", "other p50", "p50 ms"),
    )
    for row in compared.rows:
        ratio = row.ratio
        table.add_row(
            row.artifact,
            row.runtime,
            *(_number(value, ".3f") for value in (row.p90_ms, row.p50_ms, row.other_p50_ms)),
            f"{ratio.ratio:.3f} ({ratio.low:.3f}–{ratio.high:.3f})" if ratio else "–",
            word(row.tells) + (" [dim](the same file)[/]" if row.same_file else ""),
        )
    return table


def sensitivity_table(explained: "ExplainedFormat") -> FittedTable:
    """Layers of one format, the most sensitive first, and what keeping them float gains."""
    table = _table("layer", ">SQNR, it alone\nin int8", ">SQNR, all but it\nand those above")
    table.add_row("all layers in int8", "", _db(explained.all_sqnr_db), style="dim")
    gained = {row.layer: row.sqnr_db for row in explained.without}
    for row in explained.sensitivity:
        rest = _db(gained[row.layer]) if row.layer in gained else ""
        table.add_row(escape(row.module), _db(row.sqnr_db), rest)
    return table


def _db(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def checks_table(checks: "Sequence[Check]") -> FittedTable:
    table = _table("what", "found", "wanted", "status", "remedy")
    for check in checks:
        table.add_row(
            escape(check.name),
            escape(check.found),
            escape(check.wanted),
            word(check.status),
            escape(check.remedy or ""),
        )
    return table


def facts(data: Mapping[str, Any]) -> RenderableType:
    """Nested JSON for a reader: keys, and lists of alike things as tables."""
    return Group(*_facts(data, 0))


def _facts(data: Mapping[str, Any], depth: int) -> Iterator[RenderableType]:
    pad = "  " * depth
    for key, value in data.items():
        title = f"{pad}[bold]{escape(str(key))}[/]"
        if isinstance(value, Mapping) and value:
            plain = not any(isinstance(item, Mapping | list) for item in value.values())
            if plain and len(value) > 1:
                yield f"{title}  " + escape("  ".join(f"{k} {_plain(v)}" for k, v in value.items()))
            else:
                yield title
                yield from _facts(value, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            yield title
            yield Padding(_rows(value), (0, 0, 0, 2 * depth + 2))
        else:
            yield f"{title}  {escape(_plain(value))}"


def profile_table(profile: "Profile") -> FittedTable:
    """What `pipeline train --profile` found."""
    table = _table("part of a step", ">ms", ">share")
    for row in profile.parts:
        table.add_row(row.part, f"{row.ms:.3g}", f"{row.share:.1%}")
    many = f", {profile.processes} processes" if profile.processes > 1 else ""
    table.add_row(
        f"[bold]whole step[/] [dim]({profile.samples_per_s:.0f} samples/s{many})[/]",
        f"{profile.step_ms:.3g}",
        "",
    )
    exchange = profile.communication
    if exchange:
        count = f"{exchange.exchanges:.0f} exchanges, within the parts above"
        share = exchange.ms / profile.step_ms
        table.add_row(
            f"communication [dim]({count})[/]", f"{exchange.ms:.3g}", f"[dim]{share:.1%}[/]"
        )
    return table


def _rows(items: Sequence[Mapping[str, Any]]) -> FittedTable:
    """A column for each key that says something in any row."""
    keys = {key: None for item in items for key in item}
    filled = [key for key in keys if any(item.get(key) not in (None, [], "") for item in items)]
    columns = []
    for key in filled:
        numeric = all(isinstance(item.get(key), int | float | None) for item in items)
        columns.append(Column(key, numeric, whole=numeric))
    table = FittedTable(columns, header_style="dim")
    for item in items:
        table.add_row(*(escape(_plain(item.get(key))) for key in filled))
    return table


def _table(*columns: str, least: Sequence[str] = (), has_all: str = "--json") -> FittedTable:
    """A column that starts with `>` is for numbers; the first ones name what a row is about.
    `least` are those that may be left out, the one that is missed least first."""
    return FittedTable(
        [
            Column(
                title.lstrip(">"), title.startswith(">"), title.startswith(">") or title in WHOLE
            )
            for title in columns
        ],
        least,
        has_all,
    )


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(isinstance(item, str | int | None) for item in value):
        if any(isinstance(item, int | None) for item in value):  # a shape; a free dimension is null
            return " × ".join("any" if item is None else str(item) for item in value)
        more = f", and {len(value) - _SHORT_LIST} more" if len(value) > _SHORT_LIST else ""
        return ", ".join(value[:_SHORT_LIST]) + more
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
