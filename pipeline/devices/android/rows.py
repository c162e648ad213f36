"""What a phone answered, as rows of `verify/verdict.json` and `bench/bench.json`.

Rows of a phone have a `device` that those of this machine lack. They were made from the golden
samples of the bundle on the phone; an artifact is the same there if its SHA-256 is.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from pipeline.devices.android.answers import (
    Asked,
    Benchmark,
    Checked,
    CheckedOutput,
    Device,
    Measured,
    SelfCheck,
)
from pipeline.errors import UsageError
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.bench import BenchRow
from pipeline.workspace.results.verdict import FIGURES, VerdictRow

RUNTIMES = {  # by engine
    "cpu": "android-onnxruntime",
    "xnnpack": "android-onnxruntime-xnnpack",
    "nnapi": "android-onnxruntime-nnapi",
    "pytorch": "android-pytorch",
}
TIMES = ("load_ms", "first_ms", "p50_ms", "p90_ms", "p99_ms", "latencies_ms", "runs", "warmup_runs")

AnyRow = TypeVar("AnyRow", VerdictRow, BenchRow)


def verdict_rows(answer: SelfCheck, artifacts: Sequence[Artifact]) -> list[VerdictRow]:
    """A row for each artifact of a self-check."""
    return [_verdict_row(one, answer.device, _same(one, artifacts)) for one in answer.results]


def bench_rows(answer: Benchmark, artifacts: Sequence[Artifact]) -> list[BenchRow]:
    """A row for each artifact of a benchmark."""
    return [_bench_row(one, answer.device, _same(one, artifacts)) for one in answer.results]


def merge(rows: Sequence[AnyRow], new: Sequence[AnyRow]) -> list[AnyRow]:
    """`new` behind the others; a newer answer of the same phone takes an older one's place."""
    again = {_key(row) for row in new}
    return [row for row in rows if _key(row) not in again] + list(new)


def _key(row: VerdictRow | BenchRow) -> tuple[Any, ...]:
    return row.artifact, row.runtime, row.device, row.threads


def _same(asked: Asked, artifacts: Sequence[Artifact]) -> Artifact:
    """The workspace's artifact that the phone has. Raises UsageError if it has another."""
    for artifact in artifacts:
        if artifact.id == asked.artifact and artifact.sha256 == asked.sha256:
            return artifact
    raise UsageError(
        f"The app on the phone has another {asked.artifact} than this workspace.",
        "pipeline android build and install put this workspace's bundle on it.",
    )


def _head(asked: Asked, device: Device, artifact: Artifact) -> dict[str, Any]:
    """What rows of both kinds say of an artifact and a phone."""
    return {
        "artifact": artifact.id,
        "format": artifact.format,
        "precision": artifact.precision,
        "runtime": RUNTIMES.get(asked.engine, f"android-{asked.engine}"),
        "device": device.name,
        "runner": {
            **device.model_dump(),
            "runtime": asked.runtime,
            "engine": asked.engine,
            "bundle_digest": asked.bundle_digest,
        },
        "threads": asked.threads,
    }


def _verdict_row(checked: Checked, device: Device, artifact: Artifact) -> VerdictRow:
    reasons = [*checked.reasons, *_proof(checked)]
    if checked.verdict != "pass" and not reasons:
        reasons = [f"the app's verdict is {checked.verdict}"]
    return VerdictRow(
        **_head(checked, device, artifact),
        **_figures(checked.outputs),
        recipe=artifact.recipe,
        made_for=artifact.made_for,
        verdict="fail" if reasons or checked.verdict != "pass" else "pass",
        reasons=reasons,
        metric=None,
        drop=None,
        golden_samples=len(checked.samples),
        warnings=checked.warnings,
        outputs=[],  # in the sense of `verify` only what ran on all samples has them
        edges=[],
    )


def _figures(outputs: Sequence[CheckedOutput]) -> dict[str, Any]:
    """Of the output that fails, else of the least exact."""
    decisive = max(outputs, key=lambda one: (bool(one.reasons), one.max_rel or 0.0), default=None)
    return {name: getattr(decisive, name, None) for name in FIGURES}


def _proof(checked: Checked) -> list[str]:
    """A check that a damaged sample passes has proven nothing."""
    damaged = checked.perturbed
    if damaged is not None and not damaged.failed:
        return [f"sample {damaged.sample}, damaged on purpose, passes: the check sees nothing"]
    return []


def _bench_row(measured: Measured, device: Device, artifact: Artifact) -> BenchRow:
    total = sum(measured.latencies_ms)
    return BenchRow(
        **_head(measured, device, artifact),
        **{name: getattr(measured, name) for name in TIMES},
        computed_in=None,
        against_eager=None,  # which ran on another machine
        file_bytes=artifact.bytes,
        batch=1,
        throughput={"1": 1e3 * len(measured.latencies_ms) / total} if total else {},
    )
