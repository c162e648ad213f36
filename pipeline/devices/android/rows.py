"""What a phone answered, as rows of `verify/verdict.json` and `bench/bench.json`.

Rows of a phone have a `device` that those of this machine lack. They were made from the golden
samples of the bundle on the phone; an artifact is the same there if its SHA-256 is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import UsageError
from pipeline.workspace.artifacts import Artifact

Row = dict[str, Any]

RUNTIMES = {  # by engine
    "cpu": "android-onnxruntime",
    "xnnpack": "android-onnxruntime-xnnpack",
    "nnapi": "android-onnxruntime-nnapi",
    "pytorch": "android-pytorch",
}
FIGURES = ("max_abs", "max_rel", "sqnr_db", "top1")
TIMES = ("load_ms", "first_ms", "p50_ms", "p90_ms", "p99_ms", "latencies_ms", "runs")


def verdict_rows(answer: Mapping[str, Any], artifacts: Sequence[Artifact]) -> list[Row]:
    """A row for each artifact of a self-check."""
    device = answer["device"]
    return [_verdict_row(found, device, _same(found, artifacts)) for found in answer["results"]]


def bench_rows(answer: Mapping[str, Any], artifacts: Sequence[Artifact]) -> list[Row]:
    """A row for each artifact of a benchmark."""
    device = answer["device"]
    return [_bench_row(found, device, _same(found, artifacts)) for found in answer["results"]]


def merge(rows: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """`new` behind the others; a newer answer of the same phone takes an older one's place."""
    again = {_key(row) for row in new}
    return [*(row for row in rows if _key(row) not in again), *new]


def name_of(device: Mapping[str, Any]) -> str:
    """`Google Pixel 8, Android 15`: no serial number, which would name a person's phone."""
    maker, model = str(device["manufacturer"]), str(device["model"])
    whole = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
    return f"{whole[:1].upper()}{whole[1:]}, Android {device['android']}"


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["artifact"], row["runtime"], row.get("device"), row.get("threads")


def _same(found: Mapping[str, Any], artifacts: Sequence[Artifact]) -> Artifact:
    """The workspace's artifact that the phone has. Raises UsageError if it has another."""
    for artifact in artifacts:
        if artifact.id == found["artifact"] and artifact.sha256 == found["sha256"]:
            return artifact
    raise UsageError(
        f"The app on the phone has another {found['artifact']} than this workspace.",
        "pipeline android build and install put this workspace's bundle on it.",
    )


def _head(found: Mapping[str, Any], device: Mapping[str, Any], artifact: Artifact) -> Row:
    return {
        "artifact": artifact.id,
        "format": artifact.format,
        "precision": artifact.precision,
        "runtime": RUNTIMES.get(found["engine"], f"android-{found['engine']}"),
        "device": name_of(device),
        "runner": {
            **device,
            "runtime": found["runtime"],
            "engine": found["engine"],
            "bundle_digest": found["bundle_digest"],
        },
        "threads": found["threads"],
    }


def _verdict_row(found: Mapping[str, Any], device: Mapping[str, Any], artifact: Artifact) -> Row:
    outputs: list[Mapping[str, Any]] = found["outputs"]
    worst: Mapping[str, Any] = max(
        outputs, key=lambda one: (bool(one["reasons"]), one["max_rel"] or 0.0), default={}
    )
    reasons = [*found["reasons"], *_proof(found)]
    passed = found["verdict"] == "pass" and not reasons
    return {
        **_head(found, device, artifact),
        "recipe": artifact.recipe,
        "made_for": artifact.made_for,
        "verdict": "pass" if passed else "fail",
        "reasons": reasons or ([] if passed else [f"the app's verdict is {found['verdict']}"]),
        **{key: worst.get(key) for key in FIGURES},
        **dict.fromkeys(("cosine", "metric", "drop")),
        "golden_samples": len(found["samples"]),
        "warnings": found["warnings"],
        "outputs": [],  # in the sense of `verify` only what ran on all samples has them
        "edges": [],
    }


def _proof(found: Mapping[str, Any]) -> list[str]:
    """A check that a damaged sample passes has proven nothing."""
    perturbed = found["perturbed"]
    if perturbed is not None and not perturbed["failed"]:
        return [f"sample {perturbed['sample']}, damaged on purpose, passes: the check sees nothing"]
    return []


def _bench_row(found: Mapping[str, Any], device: Mapping[str, Any], artifact: Artifact) -> Row:
    total = sum(found["latencies_ms"])
    return {
        **_head(found, device, artifact),
        "peer": False,
        "computed_in": None,
        "against_eager": None,  # which ran on another machine
        "file_bytes": artifact.bytes,
        **{key: found[key] for key in TIMES},
        "batch": 1,
        "warmup_runs": found["warmup_runs"],
        "throughput": {"1": 1e3 * len(found["latencies_ms"]) / total} if total else {},
        "peak_bytes": None,
        "baseline_bytes": None,
        "error": None,
    }
