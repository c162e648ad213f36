"""Paths of tensors in what a model takes and gives, and the way back."""

import collections
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.graph.structure import is_flat, leaves, nested


@dataclasses.dataclass
class Step:
    logits: Tensor
    loss: Tensor | None
    past: tuple[Any, ...]


@dataclasses.dataclass
class Layer:
    keys: Tensor
    values: Tensor


class Cache:
    """As transformers keep it."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = list(layers)


A, B, C = (torch.full((2,), float(value)) for value in range(3))
Pair = collections.namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    "given, paths",
    [
        (A, [""]),
        ([A, (B, C)], ["0", "1.0", "1.1"]),
        ({"x": A, "deep": {"y": [B]}}, ["x", "deep.y.0"]),
        (Step(A, None, ({"key": B},)), ["logits", "past.0.key"]),
        (Pair(A, B), ["first", "second"]),
        (
            {"logits": A, "past": Cache(Layer(B, C))},
            ["logits", "past.0.key", "past.0.value"],
        ),
        ({"x": A, "rate": 2, "share": 0.5, "sure": True}, ["x", "rate", "share", "sure"]),
    ],
)
def test_each_tensor_has_a_path(given: object, paths: list[str]) -> None:
    assert [path for path, _ in leaves(given)] == paths


def test_plain_numbers_are_tensors_without_axes() -> None:
    tensors = dict(leaves({"rate": 2, "share": 0.5, "sure": True, "x": A}))
    del tensors["x"]
    assert [str(t.dtype) for t in tensors.values()] == [
        "torch.int64",
        "torch.float32",
        "torch.bool",
    ]
    assert all(tensor.shape == () for tensor in tensors.values())


@pytest.mark.parametrize(
    "given, said",
    [
        (None, "The model returned nothing."),
        ((), r"The model returned no tensor: \(\)"),
        ("text", "The model returned a str."),
        ({"a": {"b": object()}}, r"The model returned a object as a\.b\."),
    ],
)
def test_what_is_no_tensor_is_named(given: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        leaves(given)


def test_paths_lead_back() -> None:
    given = {"x": A, "past": ({"key": B, "value": C}, {"key": A, "value": B})}
    names, tensors = zip(*leaves(given), strict=True)
    assert nested(names, tensors) == given
    assert nested(["1", "0"], [A, B]) == {"1": A, "0": B}  # the top is what a call names


def test_flat_is_what_a_trace_can_give_as_it_is() -> None:
    assert is_flat(A) and is_flat((A, B)) and is_flat({"x": A})
    assert not is_flat((A, (B,))) and not is_flat({"x": A, "loss": None})
