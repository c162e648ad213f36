"""`[inputs.NAME]` and `[input] shapes`: which axis counts samples."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config
from pipeline.config.file import parse_config
from pipeline.errors import UsageError

MODEL = {"model": {"entry": "model.py:build_model"}}


def config(**keys: Any) -> Config:
    return parse_config(MODEL | keys, Path("pipeline.toml"))


@pytest.mark.parametrize(
    "shapes, axes",
    [
        ({"x": ["batch", 8]}, {"x": 0}),
        ({"x": ["n", 8]}, {"x": 0}),
        ({"x": [4, 8]}, {"x": 0}),
        ({"x": ["time", "batch", 5], "h": [1, "batch", 7]}, {"x": 1, "h": 1}),
        ({"ids": ["n"], "offsets": ["batch"]}, {"ids": None, "offsets": 0}),
        ({"x": ["batch", 8], "anchors": [5, 8]}, {"x": 0, "anchors": None}),
    ],
)
def test_the_batch_is_where_it_is_named_else_first(
    shapes: dict[str, list[int | str]], axes: dict[str, int | None]
) -> None:
    known = config(input={"shapes": shapes}).named_inputs
    assert {name: one.batch_axis for name, one in known.items()} == axes


def test_another_name_for_the_batch_is_the_batch_everywhere() -> None:
    known = config(input={"shapes": {"x": ["n", "n", 2]}}).named_inputs["x"]
    assert known.axes == ("batch", "batch", 2)
    assert known.sample_axes == ("batch", 2)


def test_a_table_means_what_it_says() -> None:
    tables = {"frame": {"kind": "image", "size": [8, 8]}, "rate": {"shape": [], "dtype": "int64"}}
    tables |= {"age": {"kind": "tensor"}, "wave": {"shape": [16000]}}
    known = config(inputs=tables).named_inputs
    assert list(known) == ["frame", "rate", "age", "wave"]
    assert known["frame"].image is not None and known["frame"].image.size == (8, 8)
    assert (known["rate"].axes, known["rate"].batch_axis) == ((), None)
    assert (known["age"].axes, known["age"].batch_axis) == (None, 0)
    assert (known["wave"].axes, known["wave"].batch_axis) == ((16000,), None)


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"input": {"kind": "image"}, "inputs": {"x": {}}}, "two ways to say one thing"),
        ({"inputs": {"x": {"size": [8, 8]}}}, 'size belong to kind = "image"'),
        ({"inputs": {"x": {"kind": "image", "shape": [1]}}}, 'shape belong to kind = "tensor"'),
        ({"inputs": {"x": {"shape": ["batch", "batch"]}}}, "one axis alone counts samples"),
        ({"inputs": {"x": {"shape": ["batch", 0]}}}, "axes are positive numbers or names"),
        ({"inputs": {"x": {"sizes": {"length": [4]}}}}, "sizes.length: shape has no axis"),
        ({"inputs": {"x": {"values": {"min": 2, "max": 1}}}}, "min is 2, above max, 1"),
        ({"inputs": {"x": {"values": {"one_of": [1], "max": 1}}}}, "leave min and max out"),
        ({"inputs": {"x": {"shap": [1]}}}, "unknown key 'inputs.x.shap'. Did you mean 'shape'"),
        ({"inputs": {"x": {"dtype": "float"}}}, "inputs.x.dtype"),
        ({"outputs": {"y": {}}}, "outputs.y.shape: field required"),
        ({"input": {"shapes": {"x": []}}}, r"\[inputs.x\] shape = \[\]"),
    ],
)
def test_what_is_wrong_is_named(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        config(**keys)
