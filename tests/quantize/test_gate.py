"""A recipe that the user names passes the gate that the search has, or does not ship."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.package.choice import held_back
from pipeline.workspace.results.quantize import QUANTIZE
from tests.quantize.quantize_cases import Exported, Result

NAMED = 'quantize.recipes=["onnx:int8-static"]'
GATE = "quantize.gate=true"
SIZE = 'quantize.objective="size"'
Project = Callable[[str], Exported]


def candidates(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((result.out / QUANTIZE).read_text())["candidates"]
    return found


def outcomes(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((result.out / QUANTIZE).read_text())["searches"]
    return found


def test_what_keeps_the_metric_and_is_smaller_ships(digits: Exported) -> None:
    result = digits.quantize(NAMED, GATE, SIZE)
    (artifact,) = result.artifacts.values()
    (found,) = outcomes(result)
    assert (found["named"], found["shipped"], found["held_back"]) == (
        *("int8-static", "int8-static"),
        None,
    )
    (trial,) = found["trials"]
    assert trial["drop"] <= found["max_drop"] and trial["accuracy"]["samples"] == 360
    assert trial["bytes"] == artifact.bytes < found["fp32"]["bytes"]
    assert trial["fused"]["convolutions"] == [5, 5] and trial["speed"]["ms"] > 0
    assert result.summary["why"] == {"onnx-int8-static": found["why"]}
    assert not result.report.warnings
    assert not candidates(result)  # in the report it is a point as an artifact


def test_what_is_not_smaller_does_not(project: Project) -> None:
    """Two tiny layers: the scales and nodes take more than int8 saves."""
    result = project("mlp").quantize(NAMED, GATE, SIZE)
    (found,) = outcomes(result)
    assert found["why"].startswith("int8-static does not ship: it has ")
    assert not result.artifacts and not list(result.out.glob("*.onnx"))
    assert result.summary["headline"] == "float alone ships"
    (lost,) = candidates(result)
    assert (lost["name"], lost["chosen"]) == ("onnx int8-static", False)
    (warned,) = result.report.warnings
    assert warned.startswith("onnx: int8-static does not ship") and "gate = false" in warned
    assert held_back(result.out) == ["onnx has no int8-static: it is not smaller than fp32."]


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_what_loses_the_metric_does_not(hard: Exported, format: str) -> None:
    result = hard.quantize(f'quantize.recipes=["{format}:int8-static"]', GATE, SIZE)
    (found,) = outcomes(result)
    assert found["trials"][0]["drop"] > 0.05
    assert found["why"].startswith("int8-static does not ship: Accuracy drops by 0.")
    assert not result.artifacts
    (said,) = held_back(result.out)
    assert said == f"{format} has no int8-static: it does not keep Accuracy within 0.02."


def test_what_is_not_surely_faster_does_not(project: Project) -> None:
    """By latency, as the machine is: the sentence agrees with what was measured."""
    result = project("mlp").quantize(NAMED, GATE)
    (found,) = outcomes(result)
    ratio = found["trials"][0]["speed"]["ratio"]
    ships = ratio["high"] < 0.98
    held_back = None if ships else "onnx has no int8-static: it is not measurably faster than fp32."
    assert (bool(result.artifacts), found["held_back"]) == (ships, held_back)
    assert ("which is not measurably less" in found["why"]) == (not ships)


def test_without_the_gate_it_ships_untried(project: Project) -> None:
    result = project("mlp").quantize(NAMED)
    assert set(result.artifacts) == {"onnx-int8-static"} and not outcomes(result)


def test_fp16_is_not_gated(project: Project) -> None:
    result = project("mlp").quantize('quantize.recipes=["fp16"]', GATE)
    assert set(result.artifacts) == {"onnx-fp16"} and not outcomes(result)
