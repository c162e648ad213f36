"""How far a model's own answers move when it is rounded otherwise."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.config import Config
from pipeline.graph.wrap import Wrapped
from pipeline.measure.conditioning import FACTOR, ROUNDING, Conditioning

CONFIG = Config.model_validate({"model": {"entry": "model.py:build"}})


def conditioning(model: nn.Module) -> Conditioning:
    return Conditioning(lambda: Wrapped(CONFIG, model, ["x"]).eval())


class Differs(nn.Module):
    """1 + x - 1: of a small x nothing but the rounding of 1 + x is left."""

    def forward(self, x: Tensor) -> Tensor:
        return (1e6 + x) - 1e6


class Logistic(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(60):
            x = 3.99 * x * (1 - x)
        return x


def test_a_stable_model_moves_by_roundings() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 8))
    x = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    (move,) = conditioning(model).moves("x", [x])  # type: ignore[misc]
    assert move.shape == (4, 8) and 0 < move.max() < 100 * ROUNDING
    assert FACTOR * move.max() < 1e-4  # far below what verify allows


def test_cancellation_and_chaos_move_far() -> None:
    x = np.full((1, 1), 0.3, np.float32)
    (move,) = conditioning(Differs()).moves("x", [x])  # type: ignore[misc]
    assert move.max() > 1e-3  # float64 shows what float32 has lost
    (move,) = conditioning(Logistic()).moves("x", [x])  # type: ignore[misc]
    assert move.max() > 0.1


def test_the_weights_are_what_they_were_and_a_key_is_asked_once() -> None:
    model = nn.Linear(3, 2)
    before, calls = [p.clone() for p in model.parameters()], []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    asked = conditioning(model)
    first = asked.moves("x", [np.ones((1, 3), np.float32)])
    count = len(calls)
    assert asked.moves("x", [np.ones((1, 3), np.float32)]) is first and len(calls) == count
    for parameter, was in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, was) and parameter.dtype == torch.float32


class Refuses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("not this")


class Chosen(nn.Module):
    """As many rows as there are numbers above what rounding moves."""

    def forward(self, x: Tensor) -> Tensor:
        return x[(x * 3 - 1).abs() > 1e-8]


@pytest.mark.parametrize("model", [Refuses(), Chosen()])
def test_nothing_is_known_where_the_model_raises_or_changes_its_shape(model: nn.Module) -> None:
    x = np.full((1, 64), 1 / 3, np.float32)
    assert conditioning(model).moves("x", [x]) is None
