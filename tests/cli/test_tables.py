"""Tables where people sit: 80 columns show what matters whole, 120 show everything."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.cli import tables
from pipeline.cli.outputs import Check, StageState
from pipeline.workspace.results.bench import BenchRow, ComparedBench
from pipeline.workspace.results.drift import Drift
from pipeline.workspace.results.quantize import ExplainedFormat, LayerSensitivity, Without
from pipeline.workspace.results.ratio import Ratio
from pipeline.workspace.results.verdict import Verdict
from tests import results

IDS = (
    ("torchscript-int8-dynamic", "torchscript"),
    ("torchscript-int8-dynamic", "cpp-libtorch"),
    ("onnx-int8-static-arm64", "cpp-onnxruntime"),
    ("onnx-int8-static-arm64", "onnxruntime"),
)
RATIO = Ratio(0.0432, 0.0419, 0.0451)


def verdict(metric: str | None, **more: Any) -> Verdict:
    rows = [
        results.verdict_row(
            artifact=artifact,
            runtime=runtime,
            max_abs=1.2e-07,
            sqnr_db=141.0,
            top1=1.0 if metric else None,
            metric=0.9889 if metric else None,
            drop=-0.0012 if metric else None,
            verdict="inconclusive",
            **more,
        )
        for artifact, runtime in IDS
    ]
    return results.verdict(rows, metric=results.metric(metric) if metric else None)


def bench() -> list[BenchRow]:
    return [
        results.bench_row(
            artifact=artifact,
            runtime=runtime,
            p90_ms=1234.567,
            p50_ms=1204.567,
            against_eager=RATIO,
            load_ms=1020.5,
            throughput={"1": 12.0, "32": 123456.0},
            peak_bytes=1_234_000_000,
        )
        for artifact, runtime in IDS
    ]


def compared() -> ComparedBench:
    figures = {"p90_ms": 1234.567, "p50_ms": 1204.567, "other_p50_ms": 1104.567, "ratio": RATIO}
    return results.compared(
        [
            results.compared_row(artifact=artifact, runtime=runtime, **figures)
            for artifact, runtime in IDS
        ]
    )


def drift() -> Drift:
    layer = results.layer_row(
        name="model.features.12.block.3.project/Conv_quant",
        operator="com.microsoft.QLinearGlobalAveragePool",
        reference="model.features.12.block.3.project.output",
        sqnr_db=41.0,
        max_abs=1.2e-3,
        own_db=52.0,
        own_max_abs=1.1e-3,
        verdict="fail",
    )
    return results.drift([layer] * 4, first_bad=0, culprits=[1])


def sensitivity() -> ExplainedFormat:
    rows = [
        LayerSensitivity(layer=f"{n}", module=f"model.features.{n}.block.project.0", sqnr_db=31.4)
        for n in range(3)
    ]
    return ExplainedFormat(
        format="onnx",
        candidate="int8-static",
        samples=32,
        all_sqnr_db=21.5,
        sensitivity=rows,
        without=[Without(layer="0", sqnr_db=31.4)],
    )


WHY = "the section quantize changed: " + "x, " * 40
STATES = [
    StageState(stage="train", state="fresh", why=[]),
    StageState(stage="quantize", state="stale", why=[WHY]),
]
CHECKS = [
    Check(
        name="ONNX Runtime for Python",
        found="1.29.0 with CPUExecutionProvider, AzureExecutionProvider",
        wanted="1.29.0, as in the C++ runner and the app",
        status="ok",
        remedy="python -m pip install onnxruntime==1.29.0",
    )
] * 2
TABLES: dict[str, Any] = {
    "verdict": tables.verdict_table(verdict("MulticlassAccuracy")),
    "verdict without a metric": tables.verdict_table(verdict(None)),
    "bench": tables.bench_table(bench()),
    "compare": tables.compare_table(compared()),
    "drift": tables.drift_table(drift()),
    "sensitivity": tables.sensitivity_table(sensitivity()),
    "status": tables.status_table(STATES),
    "doctor": tables.checks_table(CHECKS),
}


def lines(table: Any, columns: int) -> list[str]:
    console = Console(width=columns, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get().splitlines()


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_cut_and_nothing_too_wide(name: str, columns: int) -> None:
    shown = lines(TABLES[name], columns)
    assert "…" not in "\n".join(shown)
    assert max(map(len, shown)) <= columns


@pytest.mark.parametrize("name", ["verdict", "bench", "compare"])
@pytest.mark.parametrize("columns", [80, 120])
def test_rows_are_whole(name: str, columns: int) -> None:
    """A row a line, which names artifact and runtime in full."""
    shown = lines(TABLES[name], columns)
    for artifact, runtime in IDS:
        assert sum(artifact in line and f" {runtime} " in line for line in shown) == 1


def test_what_is_left_out_is_said() -> None:
    shown = lines(TABLES["bench"], 80)
    assert "p90 ms" in "".join(shown[:2])
    assert "peak MB" not in "".join(shown[:2])
    said = " ".join(shown[2 + len(IDS) :])
    assert said.startswith("no room for load ms, peak MB")
    assert "bench.json" in said


def test_wide_tables_have_all() -> None:
    for name in ("verdict", "bench", "compare"):
        assert "no room for" not in "\n".join(lines(TABLES[name], 120))


def test_the_name_of_a_phone_costs_no_figure() -> None:
    found = verdict("Accuracy", device="Google Pixel 8, Android 15")
    shown = lines(tables.verdict_table(found), 80)
    assert "drop" in shown[0]
    assert sum("· Google Pixel 8, Android 15" in line for line in shown) == len(IDS)


def test_columns_that_say_nothing_go_first_and_without_a_word() -> None:
    shown = lines(TABLES["verdict without a metric"], 80)
    assert "max abs" in shown[0]
    assert "SQNR" in shown[0]
    assert "no room for" not in "\n".join(shown)


def test_real_results_fit() -> None:
    """Of a manifest, whose lists are of many shapes."""
    golden = Path(__file__).parents[1] / "golden" / "bundle-v1" / "manifest.json"
    found: Mapping[str, Any] = json.loads(golden.read_text(encoding="utf-8"))
    shown = lines(tables.facts(found), 80)
    assert "…" not in "\n".join(shown)
    assert max(map(len, shown)) <= 80
