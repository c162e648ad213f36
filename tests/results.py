"""Results of stages for tests, whole: what a test is not about has values that say nothing."""

from typing import Any

from pipeline.system.machine import Machine
from pipeline.workspace.results.bench import (
    Bench,
    BenchRow,
    ComparedBench,
    ComparedRow,
    Conditions,
    Control,
)
from pipeline.workspace.results.drift import Drift, LayerRow
from pipeline.workspace.results.verdict import Verdict, VerdictMetric, VerdictRow

MACHINE = Machine(
    cpu="Some CPU @ 2.00GHz",
    arch="x86_64",
    cores=2,
    flags=["avx2"],
    memory_bytes=8_000_000_000,
    os="Some Linux",
    python="3.11.2",
    versions={"torch": "2.15.0"},
)
CONDITIONS = Conditions(
    load_average_before=[0.0, 0.0, 0.0], load_average_after=[0.0, 0.0, 0.0], steal_percent=0.0
)
CONTROL = Control(
    artifact="onnx-fp32", runtime="onnxruntime", ratio=None, allowed=[0.98, 1.02], steady=True
)


def metric(name: str = "Accuracy", reference: float | None = 0.9877) -> VerdictMetric:
    return VerdictMetric(name=name, goal="max", reference=reference)


def verdict_row(**known: Any) -> VerdictRow:
    """A row that passes."""
    row: dict[str, Any] = {
        "artifact": "onnx-fp32",
        "format": "onnx",
        "precision": "fp32",
        "recipe": None,
        "made_for": "any",
        "runtime": "onnxruntime",
        "verdict": "pass",
        "reasons": [],
        **dict.fromkeys(("max_abs", "max_rel", "cosine", "sqnr_db", "top1", "metric", "drop")),
        "outputs": [],
        "edges": [],
    }
    return VerdictRow(**row | known)


def verdict(rows: list[VerdictRow], **known: Any) -> Verdict:
    whole: dict[str, Any] = {
        "verdict": "pass",
        "samples": 96,
        "synthetic": False,
        "confidence": 0.95,
        "labels": None,
        "threads": 1,
        "machine": MACHINE,
        "metric": None,
        "rows": rows,
        "compatibility": [],
    }
    return Verdict(**whole | known)


def bench_row(**known: Any) -> BenchRow:
    row: dict[str, Any] = {
        "artifact": "onnx-fp32",
        "format": "onnx",
        "precision": "fp32",
        "batch": 1,
        "runtime": "onnxruntime",
        "computed_in": None,
        "file_bytes": 1000,
        "against_eager": None,
    }
    return BenchRow(**row | known)


def bench(rows: list[BenchRow], **known: Any) -> Bench:
    whole: dict[str, Any] = {
        "machine": MACHINE,
        "conditions": CONDITIONS,
        "threads": 1,
        "rounds": 10,
        "seconds": 2.0,
        "seed": 0,
        "synthetic": False,
        "samples": 64,
        "control": CONTROL,
        "void": False,
        "rows": rows,
    }
    return Bench(**whole | known)


def compared_row(**known: Any) -> ComparedRow:
    row: dict[str, Any] = {
        "artifact": "onnx-fp32",
        "runtime": "onnxruntime",
        "same_file": False,
        **dict.fromkeys(("p50_ms", "p90_ms", "other_p50_ms", "other_p90_ms", "ratio", "error")),
        "tells": "can't tell",
    }
    return ComparedRow(**row | known)


def compared(rows: list[ComparedRow]) -> ComparedBench:
    return ComparedBench(
        against="other",
        machine=MACHINE,
        conditions=CONDITIONS,
        control=CONTROL,
        void=False,
        regressions=0,
        rows=rows,
    )


def layer_row(**known: Any) -> LayerRow:
    """A layer that is good."""
    row: dict[str, Any] = {
        **dict.fromkeys(("name", "path", "tensor", "reference"), "layer"),
        "operator": "Conv",
        "nodes": [],
        "shape": [1, 8],
        "scale": 1.0,
        **dict.fromkeys(("sqnr_db", "own_db"), 40.0),
        **dict.fromkeys(("max_abs", "own_max_abs"), 0.1),
        **dict.fromkeys(("not_finite", "own_not_finite"), 0),
        **dict.fromkeys(("verdict", "own_verdict"), "pass"),
    }
    return LayerRow(**row | known)


def drift(layers: list[LayerRow], **known: Any) -> Drift:
    whole: dict[str, Any] = {
        "artifact": "onnx-int8-static",
        "against": "eager",
        "runtime": "onnxruntime",
        "samples": 8,
        "matched": len(layers),
        "unmatched": 0,
        "bar_db": 10.0,
        "own_bar_db": 15.0,
        "layers": layers,
        "first_bad": None,
        "culprits": [],
        "remedy": None,
    }
    return Drift(**whole | known)
