"""Accuracy × latency × size: the points of one plot, whoever made them.

A point is this object, in `quantize/quantize.json` under `candidates` where a search has tried
some, and made here of every artifact that was verified and measured:

    name        what people call it: "onnx-int8-static"
    group       "artifact", or "candidate" of a search
    score       the task's metric on the validation samples; null without one
    latency_ms  p50 at batch 1, in the fastest runtime of this machine
    bytes       of the file
    passed      whether its verdict is pass
    chosen      whether it is what was taken: for artifacts, what a program takes by default
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.bench import Bench
from pipeline.workspace.results.verdict import Verdict


@dataclass(frozen=True)
class Point:
    name: str
    group: Literal["artifact", "candidate"]
    score: float | None
    latency_ms: float
    bytes: int
    passed: bool
    chosen: bool


def artifact_points(
    artifacts: Sequence[Artifact], verdict: Verdict, bench: Bench, first: str | None
) -> list[Point]:
    """One for each artifact that has figures of both; `first` is the id of the bundle's first."""
    points = []
    for artifact in artifacts:
        judged = [row for row in verdict.rows if row.artifact == artifact.id]
        measured = [
            row.p50_ms
            for row in bench.rows
            if row.artifact == artifact.id
            and row.p50_ms
            and not row.peer
            and row.device is None  # a phone's milliseconds are of another machine
        ]
        if judged and measured:
            scores = [row.metric for row in judged if row.metric is not None]
            worst = min if verdict.metric and verdict.metric.goal == "max" else max
            points.append(
                Point(
                    artifact.id,
                    "artifact",
                    worst(scores) if scores else None,
                    min(measured),
                    artifact.bytes,
                    all(row.verdict == "pass" for row in judged),
                    artifact.id == first,
                )
            )
    return points


def front(points: Sequence[Point], goal: str) -> set[str]:
    """Names of the Pareto front: no other point that passed is at least as good in score, latency
    and bytes, and better in one. `goal` says whether the score is to be large (`max`) or small."""
    sign = 1 if goal == "max" else -1

    def costs(point: Point) -> tuple[float, float, float]:
        return (-sign * (point.score or 0.0), point.latency_ms, float(point.bytes))

    passed = [point for point in points if point.passed]
    return {
        point.name
        for point in passed
        if not any(
            costs(other) != costs(point)
            and all(a <= b for a, b in zip(costs(other), costs(point), strict=True))
            for other in passed
        )
    }
