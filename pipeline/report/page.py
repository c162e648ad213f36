"""The page of one run: what the evidence comes to, handed to the template."""

from typing import Any

import numpy as np

from pipeline.config import Config
from pipeline.report import layers, plots, samples
from pipeline.report.evidence import Evidence, gather
from pipeline.report.template import render
from pipeline.report.tradeoff import artifact_points, front
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.bench import Bench
from pipeline.workspace.results.verdict import Verdict, VerdictRow
from pipeline.workspace.stage import STAGES

LAYERS = 12  # shown by name in the plot of sizes
NEVER = 101  # classes from which a confusion matrix is no picture any more


def page_of(config: Config, workspace: Workspace) -> str:
    evidence = gather(workspace)
    verdict, bench = evidence.verdict, evidence.bench
    context: dict[str, Any] = {
        "config": config,
        "headline": headline(verdict),
        "outdated": evidence.outdated,
        "verdict": verdict,
        "metric_name": verdict.metric.name if verdict and verdict.metric else "metric",
        "compatibility": verdict.compatibility if verdict else [],
        "bench": bench,
        "void": _void(bench),
        "machine": evidence.machine,
        "artifacts": [artifact for artifact, _ in evidence.artifacts.values()],
        "chosen": evidence.chosen,
        "stages": [
            (evidence.records[stage], stage) for stage in STAGES if stage in evidence.records
        ],
        "searches": evidence.searches,
        "drift": evidence.drift,
        "drift_plot": plots.drift(evidence.drift) if evidence.drift else None,
        "training_plots": training_plots(evidence),
        "cost_plot": plots.costs([(name, one.seconds) for name, one in evidence.records.items()]),
        "size_plot": _size_plot(evidence),
    }
    for part in (_matrix, _tradeoff, _parity, _samples, _speed):
        context |= part(evidence)
    return render("page.html", context)


def headline(verdict: Verdict | None) -> str:
    """The verdict in one sentence."""
    if verdict is None:
        return "Nothing has been verified yet."
    rows, count = verdict.rows, len(verdict.rows)
    samples = f"{verdict.samples} {'synthetic' if verdict.synthetic else 'validation'} samples"
    failed = [row for row in rows if row.verdict == "fail"]
    unsure = [row for row in rows if row.verdict == "inconclusive"]
    if failed:
        fail = "fails" if len(failed) == 1 else "fail"
        return f"{len(failed)} of {count} rows {fail} on {samples}: {_names(failed)}."
    if unsure:
        are = "is" if len(unsure) == 1 else "are"
        return f"{len(unsure)} of {count} rows {are} undecided on {samples}: {_names(unsure)}."
    if verdict.verdict == "fail":
        return (
            f"{_all(count)} eager PyTorch does, on {samples}, but a target that was asked for "
            "cannot run one of the artifacts."
        )
    here = sum(row.device is None for row in rows)
    phones = count - here
    also = f" On phones {phones} more {'does' if phones == 1 else 'do'}, on the golden samples."
    return (
        f"{_all(here)} eager PyTorch does, on {samples} and on edge inputs.{also if phones else ''}"
    )


def _all(rows: int) -> str:
    return "The one row answers as" if rows == 1 else f"All {rows} rows answer as"


def training_plots(evidence: Evidence) -> list[str]:
    curves = (
        ("Training: loss by epoch", ("train_loss", "validation_loss")),
        ("Training: metric by epoch", ("metric",)),
    )
    drawn = [plots.training(evidence.history, title, keys) for title, keys in curves]
    return [svg for svg in drawn if svg]


def _names(rows: list[VerdictRow]) -> str:
    return ", ".join(f"{row.artifact} in {row.where}" for row in rows)


def _void(bench: Bench | None) -> str | None:
    """Why the measurement says nothing of small differences."""
    if bench is None or not bench.void:
        return None
    trouble = bench.control.trouble
    if bench.control.ratio is None:
        return f"{trouble[:1].upper()}{trouble[1:]}."
    return (
        f"{trouble}: something else was at work. Small differences mean nothing here; "
        "measure again."
    )


def _matrix(evidence: Evidence) -> dict[str, Any]:
    """Artifact × runtime, from what was verified and what was measured."""
    judged = {(row.artifact, row.where): row for row in evidence.verdict_rows}
    measured = {
        (row.artifact, row.where): row
        for row in evidence.bench_rows
        if row.artifact != "eager" and not row.peer
    }
    keys = dict.fromkeys([*judged, *measured])
    runtimes = list(dict.fromkeys(runtime for _, runtime in keys))

    def cell(key: tuple[str, str]) -> dict[str, Any] | None:
        row = judged.get(key)
        if row is None and key not in measured:
            return None
        return {
            "verdict": row.verdict if row else None,
            "metric": row.metric if row else None,
            "closeness": _closeness(row) if row else "",
            "p90_ms": measured[key].p90_ms if key in measured else None,
        }

    artifacts = dict.fromkeys(artifact for artifact, _ in keys)
    rows = [(name, [cell((name, runtime)) for runtime in runtimes]) for name in artifacts]
    return {"matrix": rows, "runtimes": runtimes}


def _closeness(row: VerdictRow) -> str:
    if row.max_abs == 0:
        return "exact"
    return f"SQNR {row.sqnr_db:.0f} dB" if row.sqnr_db is not None else ""


def _tradeoff(evidence: Evidence) -> dict[str, Any]:
    if evidence.verdict is None or evidence.bench is None:
        return {"tradeoff_plot": None, "points": [], "on_front": set()}
    metric = evidence.verdict.metric
    artifacts = [artifact for artifact, _ in evidence.artifacts.values()]
    points = artifact_points(artifacts, evidence.verdict, evidence.bench, evidence.chosen)
    points += evidence.candidates
    goal, name = (metric.goal, metric.name) if metric else ("max", "no metric")
    on_front = front(points, goal)
    svg = plots.tradeoff(points, on_front, name) if points else None
    return {"tradeoff_plot": svg, "points": points, "on_front": on_front}


def _parity(evidence: Evidence) -> dict[str, Any]:
    if evidence.verdict is None:
        return {"closeness_plot": None, "histogram_plot": None, "samples_known": False}
    rows, kept = evidence.verdict.rows, evidence.samples
    drawn = None
    if kept:
        counts = kept["histogram"]  # a phone's rows, behind those of verify, have none
        names = [f"{row.artifact} · {row.where}" for row in rows[: len(counts)]]
        drawn = plots.histograms(names, counts, kept["histogram_edges"])
    return {
        "closeness_plot": plots.closeness(rows),
        "histogram_plot": drawn,
        "samples_known": bool(kept),
    }


def _samples(evidence: Evidence) -> dict[str, Any]:
    nothing: dict[str, Any] = {"confusion_plots": [], "confused": [], "disagreements": []}
    if evidence.verdict is None or "row_class" not in evidence.samples:
        return {"mistakes": False, **nothing}
    kept, rows, names = evidence.samples, evidence.verdict.rows, evidence.verdict.labels or []
    known = [kept["reference_class"], kept["row_class"]]
    known += [kept["target"]] if "target" in kept else []
    classes = 1 + max(int(array.max()) for array in known)
    labels = [*names[:classes]]
    labels += [str(index) for index in range(len(labels), max(classes, len(names)))]
    result = {**nothing, "mistakes": True}
    if "target" in kept:
        eager = samples.confusion(kept["target"], kept["reference_class"], len(labels))
        result["confused"] = samples.confused(eager, labels)
        if len(labels) < NEVER:
            result["confusion_plots"] = _confusions(evidence, eager, labels)
    result["disagreements"] = samples.disagreements(kept, evidence.pictures, rows, labels)
    return result


def _confusions(evidence: Evidence, eager: Any, labels: list[str]) -> list[str]:
    """Eager's, and that of the artifact with the fewest right where that is another."""
    assert evidence.verdict is not None
    answered, target = evidence.samples["row_class"], evidence.samples["target"]
    drawn = [plots.confusion(eager, labels, "Confusion: eager PyTorch")]
    worst = int(np.argmin((answered == target).sum(axis=1)))
    matrix = samples.confusion(target, answered[worst], len(labels))
    if not np.array_equal(matrix, eager):
        row = evidence.verdict.rows[worst]
        title = f"Confusion: {row.artifact} in {row.where}, the row with the fewest right"
        drawn.append(plots.confusion(matrix, labels, title))
    return drawn


def _speed(evidence: Evidence) -> dict[str, Any]:
    if evidence.bench is None or not any(len(ms) for ms in evidence.latencies):
        return {"latency_plot": None, "rounds_plot": None}
    names = [f"{row.artifact} · {row.where}" for row in evidence.bench_rows]
    medians = [
        [float(np.median(turn)) for turn in np.split(ms, np.cumsum(counts)[:-1])]
        for ms, counts in zip(evidence.latencies, evidence.rounds, strict=True)
        if len(ms)
    ]
    kept = [name for name, ms in zip(names, evidence.latencies, strict=True) if len(ms)]
    return {
        "latency_plot": plots.latencies(names, evidence.latencies),
        "rounds_plot": plots.rounds(kept, medians),
    }


def _size_plot(evidence: Evidence) -> str | None:
    counted = layers.sizes(evidence.artifacts, LAYERS)
    return plots.layer_sizes(counted) if counted else None
