"""Accuracy × latency × size: the points of one plot, whoever made them."""

from collections.abc import Sequence

from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.bench import Bench
from pipeline.workspace.results.quantize import Point
from pipeline.workspace.results.verdict import Verdict


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
                    name=artifact.id,
                    group="artifact",
                    score=worst(scores) if scores else None,
                    latency_ms=min(measured),
                    bytes=artifact.bytes,
                    passed=all(row.verdict == "pass" for row in judged),
                    chosen=artifact.id == first,
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
