"""Which artifact comes first: what was measured, ties, what did not pass, the pin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.package.choice import Choice
from pipeline.package.measured import Timing, best_timings, measurably_slower
from pipeline.package.order import Order, order
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.bench import LATENCIES, BenchRow
from tests.results import bench, bench_row, verdict_row

HERE = "x86_64"
CHOICES = {
    "onnx-fp32": ("onnx", None, "any"),
    "torchscript-fp32": ("torchscript", None, "any"),
    "onnx-int8-static": ("onnx", "int8-static", HERE),
    "torchscript-int8-static": ("torchscript", "int8-static", HERE),
    "onnx-fp16": ("onnx", "fp16", "any"),
    "onnx-int8-static-arm64": ("onnx", "int8-static", "arm64"),
}
BY_RULE = ["onnx-int8-static", "torchscript-int8-static", "onnx-fp32", "torchscript-fp32"]


def choice(name: str, verdict: str = "pass", size: int = 10) -> Choice:
    format, recipe, made_for = CHOICES[name.partition("@")[0]]
    precision: Any = (recipe or "fp32").partition("-")[0]
    artifact = Artifact(name, format, precision, recipe, name, size, "", 18, made_for)  # type: ignore[arg-type]
    return Choice(artifact, Path(), (verdict_row(verdict=verdict),))


def ordered(
    names: Sequence[str],
    times: Mapping[str, float],
    failed: Mapping[str, str] | None = None,
    pin: str | None = None,
) -> Order:
    """From p50 alone, so that 5 % is noise."""
    choices = [choice(name, (failed or {}).get(name, "pass")) for name in names]
    timings = {name: Timing("onnxruntime", ms) for name, ms in times.items()}
    return order(choices, timings, HERE, pin)


def ids(found: Order) -> list[str]:
    return [choice.artifact.id for choice in found.choices]


def test_the_fastest_comes_first_whatever_the_rule_prefers() -> None:
    found = ordered(
        BY_RULE,
        dict(zip(BY_RULE, (4.0, 2.3, 1.0, 3.0), strict=True)),
    )
    assert ids(found) == [
        *("onnx-fp32", "torchscript-int8-static", "torchscript-fp32", "onnx-int8-static")
    ]
    assert found.why == "measured"


def test_what_ties_with_the_fastest_is_a_group_in_the_order_of_the_rule() -> None:
    """1.04 and 1.08 are within noise of one another, but 1.08 is not of the fastest: no chain."""
    found = ordered(BY_RULE, dict(zip(BY_RULE, (1.08, 1.04, 1.0, 1.12), strict=True)))
    assert ids(found) == [
        *("torchscript-int8-static", "onnx-fp32", "onnx-int8-static", "torchscript-fp32")
    ]


@pytest.mark.parametrize("times", [(1.0, 1.02, 1.04, 1.03), (1.04, 1.0, 1.01, 1.02)])
def test_noise_changes_no_places(times: tuple[float, ...]) -> None:
    assert ids(ordered(BY_RULE[::-1], dict(zip(BY_RULE, times, strict=True)))) == BY_RULE


def test_of_equals_by_format_and_recipe_the_smaller_comes_first() -> None:
    large, small = choice("onnx-fp32@a", size=20), choice("onnx-fp32@b", size=10)
    assert ids(order([large, small], {}, HERE)) == ["onnx-fp32@b", "onnx-fp32@a"]


def test_without_a_measurement_the_rule_decides() -> None:
    found = ordered([*BY_RULE[::-1], "onnx-fp16"], {})
    assert ids(found) == [*BY_RULE, "onnx-fp16"]
    assert found.why == "rule"


def test_what_nobody_timed_follows() -> None:
    found = ordered(BY_RULE, {"torchscript-fp32": 3.0, "onnx-fp32": 1.0})
    assert ids(found) == ["onnx-fp32", "torchscript-fp32", *BY_RULE[:2]]


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_what_did_not_pass_never_comes_first(verdict: str) -> None:
    times = dict(zip(BY_RULE, (0.1, 2.0, 1.0, 3.0), strict=True))
    found = ordered(BY_RULE, times, {"onnx-int8-static": verdict, "torchscript-fp32": "fail"})
    assert ids(found)[0] == "onnx-fp32"
    assert ids(found)[2:] == ["onnx-int8-static", "torchscript-fp32"]


def test_a_pin_comes_first_and_the_others_by_rule() -> None:
    times = dict(zip(BY_RULE, (4.0, 3.0, 2.0, 1.0), strict=True))
    found = ordered(BY_RULE, times, pin="onnx-fp32")
    assert ids(found) == ["onnx-fp32", BY_RULE[0], BY_RULE[1], BY_RULE[3]]
    assert found.why == "pinned"


def test_a_pin_that_is_no_artifact_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="'onnx-int4'; there is no such artifact") as refused:
        ordered(BY_RULE, {}, pin="onnx-int4")
    assert ", ".join(BY_RULE) in str(refused.value)


def test_a_pin_that_failed_is_refused() -> None:
    with pytest.raises(UsageError, match=r"package\.first is onnx-fp32, whose verdict is fail"):
        ordered(BY_RULE, {}, {"onnx-fp32": "fail"}, pin="onnx-fp32")


def test_what_is_for_another_cpu_stands_behind_its_twin() -> None:
    """Its timing here says nothing, and an ARM board takes it before float all the same."""
    names = [*BY_RULE, "onnx-int8-static-arm64"]
    assert ids(ordered(names, {}))[:3] == [BY_RULE[0], names[-1], BY_RULE[1]]
    times = dict(zip(BY_RULE, (2.0, 4.0, 1.0, 3.0), strict=True))
    assert ids(ordered(names, times))[:3] == ["onnx-fp32", BY_RULE[0], names[-1]]
    alone = ordered(["onnx-fp32", "onnx-int8-static-arm64"], {"onnx-fp32": 1.0})
    assert ids(alone) == ["onnx-int8-static-arm64", "onnx-fp32"]  # only ARM takes the first


# What is noise


def rounds(times: Sequence[float], factor: float) -> tuple[list[float], ...]:
    return tuple([factor * ms] * 3 for ms in times)


def test_noise_is_what_the_rounds_cannot_tell() -> None:
    steady, wild = [1.0] * 10, [0.7, 1.5, 0.8, 1.3, 0.9, 1.6, 0.7, 1.2, 1.0, 1.4]
    first = Timing("onnxruntime", 1.0, rounds(steady, 1.0))
    assert measurably_slower(Timing("onnxruntime", 1.03, rounds(steady, 1.03)), first)
    assert not measurably_slower(Timing("onnxruntime", 1.01, rounds(steady, 1.01)), first)
    assert not measurably_slower(Timing("onnxruntime", 1.1, rounds(wild, 1.0)), first)
    assert not measurably_slower(Timing("onnxruntime", 1.03), first)  # without rounds: 5 %
    assert measurably_slower(Timing("onnxruntime", 1.06), first)


# Which rows count


def row(artifact: str, runtime: str, p50_ms: float | None, **more: Any) -> BenchRow:
    return bench_row(artifact=artifact, runtime=runtime, p50_ms=p50_ms, **more)


def test_the_best_row_of_the_cpp_runner_counts(tmp_path: Path) -> None:
    rows = [
        row("eager", "eager", 0.1),
        row("onnx-fp32", "onnxruntime", 0.2),
        row("onnx-fp32", "cpp-onnxruntime", 2.0),
        row("torchscript-fp32", "torchscript", 0.3),
        row("torchscript-fp32", "cpp-libtorch", 1.0),
        row("onnx-fp32", "onnxruntime", 0.1, peer=True),
        row("onnx-fp32", "onnxruntime", 0.1, device="a phone"),
        row("onnx-other", "cpp-onnxruntime", 0.1),
    ]
    runs = {f"{number}.ms": np.arange(5.0) + number for number in range(len(rows))}
    cuts = {f"{number}.rounds": np.array([2, 3]) for number in range(len(rows))}
    np.savez_compressed(tmp_path / LATENCIES, **runs, **cuts)  # type: ignore[arg-type]
    found = best_timings(bench(rows), tmp_path, ["onnx-fp32", "torchscript-fp32"])
    assert found == {
        "onnx-fp32": Timing("cpp-onnxruntime", 2.0, ([2.0, 3.0], [4.0, 5.0, 6.0])),
        "torchscript-fp32": Timing("cpp-libtorch", 1.0, ([4.0, 5.0], [6.0, 7.0, 8.0])),
    }


def test_pythons_rows_count_where_the_cpp_runner_lacks_some(tmp_path: Path) -> None:
    rows = [
        row("onnx-fp32", "onnxruntime", 0.5),
        row("onnx-fp32", "cpp-onnxruntime", 0.2),
        row("torchscript-fp32", "torchscript", 0.3),
        row("torchscript-fp32", "cpp-libtorch", 0.1, error="it ended with signal 6"),
        row("onnx-fp16", "onnxruntime", None),
    ]
    found = best_timings(bench(rows), tmp_path, ["onnx-fp32", "torchscript-fp32", "onnx-fp16"])
    assert found == {
        "onnx-fp32": Timing("onnxruntime", 0.5),
        "torchscript-fp32": Timing("torchscript", 0.3),
    }
