"""Samples on which the model itself is chaotic are not judged; a fault elsewhere is still found."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.config.file import parse_config
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.graph.wrap import Wrapped
from pipeline.project.entries import build_model
from pipeline.project.weights import WEIGHTS, save_weights
from tests.verify.verify_cases import RUNTIMES, Case, only_row, said, traced

CODE = """
import numpy as np
import torch
from torch import nn


class Sometimes(nn.Module):
    '''A layer, whose first number goes through 60 steps of a chaotic map where it is large.'''

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        y = torch.sigmoid(self.layer(x))
        z = y
        for _ in range(60):
            z = 3.99 * z * (1 - z)
        return torch.where(x[:, :1] > 2, z, y)


class Rows:
    def __len__(self):
        return 64

    def __getitem__(self, index):
        row = np.random.default_rng(index).uniform(-1, 1, 4).astype(np.float32)
        if index in (5, 40):
            row[0] = 3
        return row, 0


def data():
    return {"train": Rows(), "validation": Rows()}
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "chaos.py").write_text(CODE)
    given = RUNTIMES | {
        "model": {"entry": "chaos.py:Sometimes"},
        "data": {"entry": "chaos.py:data"},
    }
    config = parse_config(given, tmp_path / "pipeline.toml")
    for stage in ("train", "export", "quantize"):
        (tmp_path / stage).mkdir()
    torch.manual_seed(0)
    save_weights(build_model(config), tmp_path / "train" / WEIGHTS)
    x, y = TensorSpec("x", "float32", (None, 4)), TensorSpec("output", "float32", (None, 3))
    return Case(tmp_path, config, Signature((x,), (y,))).signed(Signature((x,), (y,)))


def other(case: Case, bias: float) -> bytes:
    """The model with other roundings, and another bias."""
    model = case.model()
    assert isinstance(model, Wrapped)
    layer = model.model.layer
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.mul_(1 + 2.0**-23)
        layer.bias.add_(bias)
    return traced(model, torch.zeros(2, 4))


def test_what_the_model_does_by_itself_is_not_judged(case: Case) -> None:
    row = only_row(case.add(other(case, 0.0)))
    (output,) = row["outputs"]
    assert row["verdict"] == "pass"
    assert output["unstable"] == [5, 40]
    assert output["max_abs"] < 1e-5  # of the others
    assert "not judged on 2 samples, the first is 5: it differs by up to" in output["not_judged"]


def test_a_fault_on_the_other_samples_is_found(case: Case) -> None:
    row = only_row(case.add(other(case, 1e-2)))
    (output,) = row["outputs"]
    assert "largest error" in said(row)
    assert output["unstable"] == [] and output["not_judged"] is None
