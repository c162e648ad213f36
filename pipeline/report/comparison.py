"""Two runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config import Config
from pipeline.report import plots
from pipeline.report.evidence import Evidence, gather
from pipeline.report.page import headline, training_plots
from pipeline.report.template import render
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.bench import BenchRow
from pipeline.workspace.results.verdict import VerdictRow

Key = tuple[str, str]  # artifact, where it ran
Columns = tuple[tuple[str, str, float], ...]

# (heading, key of the row, format, factor) of what is put side by side
JUDGED = (("metric", "{:.4f}", 1.0), ("sqnr_db", "{:.1f}", 1.0))
MEASURED = (("p90_ms", "{:.3f}", 1.0), ("p50_ms", "{:.3f}", 1.0), ("peak_bytes", "{:.0f}", 1e-6))


def comparison_of(config: Config, ours: Workspace, other: Workspace) -> str:
    sides = [(space.root.name, gather(space)) for space in (other, ours)]
    before, after = (evidence for _, evidence in sides)
    return render(
        "compare.html",
        {
            "config": config,
            "sides": [
                {
                    "name": name,
                    "verdict": evidence.verdict.verdict if evidence.verdict else None,
                    "headline": headline(evidence.verdict),
                    "machine": _machine(evidence),
                    "void": bool(evidence.bench and evidence.bench.void),
                    "training": training_plots(evidence),
                    "latency": _latency_plot(evidence),
                }
                for name, evidence in sides
            ],
            "rows": _rows(before, after),
            "sizes": _sizes(before, after),
        },
    )


def _rows(before: Evidence, after: Evidence) -> list[dict[str, Any]]:
    """One for each artifact in each runtime of either side; figures are (before, after) as text."""
    judged = [{_key(row): row for row in side.verdict_rows} for side in (before, after)]
    measured = [
        {_key(row): row for row in side.bench_rows if not row.peer} for side in (before, after)
    ]
    keys = {key: None for side in judged for key in side}
    keys |= {key: None for side in measured for key in side}
    return [
        {
            "artifact": artifact,
            "runtime": runtime,
            "verdicts": [side[key].verdict if key in side else "–" for side in judged],
            "figures": _figures(judged, key, JUDGED) + _figures(measured, key, MEASURED),
        }
        for key in keys
        for artifact, runtime in [key]
    ]


def _figures(
    sides: Sequence[Mapping[Key, VerdictRow | BenchRow]], key: Key, columns: Columns
) -> list[list[str]]:
    """For each column what both sides have of it."""
    return [
        [_figure(getattr(side.get(key), name, None), form, factor) for side in sides]
        for name, form, factor in columns
    ]


def _key(row: VerdictRow | BenchRow) -> Key:
    return row.artifact, row.where


def _figure(value: float | None, form: str, factor: float) -> str:
    return "–" if value is None else form.format(value * factor)


def _sizes(before: Evidence, after: Evidence) -> list[tuple[str, list[str], bool]]:
    names = dict.fromkeys([*before.artifacts, *after.artifacts])
    both = [[side.artifacts.get(name) for side in (before, after)] for name in names]
    return [
        (
            name,
            [f"{one[0].bytes:,}" if one else "–" for one in pair],
            len({one[0].sha256 if one else None for one in pair}) == 1,
        )
        for name, pair in zip(names, both, strict=True)
    ]


def _machine(evidence: Evidence) -> str:
    return (
        f"{evidence.machine.cpu}, {evidence.machine.cores} cores" if evidence.machine else "unknown"
    )


def _latency_plot(evidence: Evidence) -> str | None:
    if evidence.bench is None or not evidence.latencies:
        return None
    names = [f"{row.artifact} · {row.where}" for row in evidence.bench_rows]
    return plots.latencies(names, evidence.latencies)
