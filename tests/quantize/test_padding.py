"""A fourth channel for convolutions on pictures: the same answers, and no layer more."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.quantize.candidates import Candidate
from pipeline.quantize.coverage import coverage_of
from pipeline.quantize.make import OnnxMaker
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.onnx.pad import worth_it
from pipeline.quantize.recipes import RECIPES
from pipeline.quantize.scheme import StaticScheme, default_scheme
from tests.quantize.quantize_cases import Exported, answer, batches
from tests.quantize.test_search import task_of

Project = Callable[[str], Exported]
STATIC = next(r for r in RECIPES if (r.name, r.format) == ("int8-static", "onnx"))


def made(maker: OnnxMaker, scheme: StaticScheme, path: Path) -> Path:
    path.write_bytes(maker.make(Candidate("onnx", "int8-static", "x86_64", scheme)).data)
    return path


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_padding_changes_no_answer(project: Project, tmp_path: Path, activations: str) -> None:
    exported = project("convolutions")
    maker = OnnxMaker(task_of(exported, tmp_path / "scratch"))
    scheme = replace(default_scheme("x86_64"), activations=activations)  # type: ignore[arg-type]
    assert scheme.padded
    padded = made(maker, scheme, tmp_path / "padded.onnx")
    plain = made(maker, replace(scheme, padded=False), tmp_path / "plain.onnx")
    shapes = [_weight_shapes(path) for path in (padded, plain)]
    assert [16, 4, 3, 3] in shapes[0] and [16, 3, 3, 3] in shapes[1]
    for batch in batches(maker.task.config, maker.task.signature, "calibration", 8, 4):
        (one,), (other,) = answer(padded, batch), answer(plain, batch)
        assert np.array_equal(one, other)


def test_a_padded_file_has_no_layer_more(project: Project, tmp_path: Path) -> None:
    exported = project("convolutions")
    maker = OnnxMaker(task_of(exported, tmp_path / "scratch"))
    padded = made(maker, default_scheme("x86_64"), tmp_path / "padded.onnx")
    assert coverage_of(STATIC, exported.fp32("onnx"), padded).layers == {"convolutions": (2, 2)}
    seen = fused(padded)
    assert (seen.convolutions, seen.linears) == ((2, 2), (0, 0))


def test_the_search_tries_the_best_without(project: Project) -> None:
    result = project("convolutions").quantize(
        'quantize.recipes=["onnx:auto"]', 'quantize.targets=["x86_64"]'
    )
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    padded = {t["name"] for t in found["trials"] if t["details"].get("padded")}
    plain = [t["name"] for t in found["trials"] if t["name"].endswith(" not padded")]
    measured = [
        t for t in found["trials"] if t["name"] in padded and t["speed"] and t["rounds"] > 4
    ]
    # Of the padded ones that are faster than fp32 the fastest is tried as it is without.
    held = [t for t in measured if t["speed"]["ratio"]["ratio"] < 1]
    assert padded and len(plain) == bool(held)
    assert {name.removesuffix(" not padded") for name in plain} <= padded


@pytest.mark.parametrize(
    ("outputs", "channels", "kernel", "stride", "padded"),
    [
        (32, 3, 3, 2, True),
        (64, 3, 7, 2, True),
        (16, 1, 3, 1, True),
        (8, 3, 3, 1, False),
        (64, 3, 11, 4, False),
        (192, 3, 16, 16, False),
        (32, 1, 5, 1, False),
        (32, 4, 3, 1, False),
        (32, 16, 3, 1, False),
    ],
)
def test_only_where_it_was_seen_to_gain(
    outputs: int, channels: int, kernel: int, stride: int, padded: bool
) -> None:
    assert worth_it(outputs, channels, (kernel, kernel), stride) is padded


def _weight_shapes(path: Path) -> list[list[int]]:
    stored = onnx.load(path).graph.initializer
    return [list(tensor.dims) for tensor in stored if len(tensor.dims) == 4]
