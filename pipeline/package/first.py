"""What ships first and why: a sentence without a time for the bundle, one with it for the card
beside it, and one for whoever packs where no measurement decided."""

from collections.abc import Mapping

from pipeline.bundle.manifest import Artifact, Manifest
from pipeline.package.card import plain
from pipeline.package.measured import Timing, measurably_slower
from pipeline.package.order import Order, Why, fits
from pipeline.workspace.results.bench import Bench

WHY: dict[Why, str] = {
    "alone": "as the only artifact",
    "pinned": "as the project's configuration says (`[package] first`)",
    "measured": "since no other that passed was measurably faster where they were measured",
    "rule": "by rule (the recipe, then ONNX before TorchScript), since no measurement decides",
}


def reason(order: Order) -> str:
    """For the bundle's README: the same for the same order and the same reason of it."""
    return f"{_opening(order)}."


def figures(order: Order, manifest: Manifest, bench: Bench, timings: Mapping[str, Timing]) -> str:
    """For the card beside the bundle: with how fast, how big and how exact it is."""
    artifact, timing = manifest.artifacts[0], timings.get(order.first.artifact.id)
    parts = [_speed(timing, bench), f"{artifact.bytes:,} bytes", *_exact(artifact, manifest)]
    faster = _faster(order, timings)
    if faster:
        parts.append(f"while {plain(faster)} takes {timings[faster].p50_ms:.3g} ms")
    return f"{_opening(order)}: {', '.join(parts)}."


def doubt(order: Order, bench: Bench, timings: Mapping[str, Timing]) -> str | None:
    """A warning where the rule has put first what a measurement should have. What is made for
    another kind of CPU cannot be measured here."""
    if order.why != "rule" or not fits(order.first, bench.machine.arch):
        return None
    first, faster = order.first.artifact.id, _faster(order, timings)
    if bench.void:
        more = f", though {faster} was faster in it" if faster else ""
        why = f"the measurement is void{more}: pipeline bench --force measures again"
    else:
        why = "it was not measured here: look at [bench] runtimes, and at the errors of bench"
    return f"{first} comes first in the bundle by rule, since {why}; [package] first names another."


def _opening(order: Order) -> str:
    artifact = order.first.artifact
    opening = f"**{plain(artifact.id)} ships first**, {WHY[order.why]}"
    if order.first.verdict == "pass":
        return opening
    return f"{opening}; its verdict is {order.first.verdict}, so that no program takes it by itself"


def _speed(timing: Timing | None, bench: Bench) -> str:
    if timing is None:
        return "no time measured here"
    void = " in a void measurement" if bench.void else ""
    return f"{timing.p50_ms:.3g} ms (p50 in {timing.runtime}){void}"


def _exact(artifact: Artifact, manifest: Manifest) -> list[str]:
    """By its worst result: the metric where there is one, and the largest error."""
    metric, results = manifest.verified.metric, artifact.results
    parts = []
    drops = [result for result in results if result.drop is not None and result.metric is not None]
    if metric is not None and metric.reference is not None and drops:
        worst = max(drops, key=lambda result: result.drop or 0.0)
        parts.append(
            f"{plain(metric.name)} {worst.metric:.4f} (PyTorch itself {metric.reference:.4f})"
        )
    errors = [result.max_abs for result in results if result.max_abs is not None]
    if errors:
        parts.append(f"largest error {max(errors):.2e}")
    return parts or ["nothing known of its answers"]


def _faster(order: Order, timings: Mapping[str, Timing]) -> str | None:
    """The fastest that passed, where the first is measurably slower than it."""
    passed = [c.artifact.id for c in order.choices if c.verdict == "pass"]
    timed = [name for name in passed if name in timings]
    first = order.first.artifact.id
    if first not in timings or not timed:
        return None
    fastest = min(timed, key=lambda name: timings[name].p50_ms)
    return fastest if measurably_slower(timings[first], timings[fastest]) else None
