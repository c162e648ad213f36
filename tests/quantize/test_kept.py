"""A model that keeps something between two calls: what is captured has not been called before."""

from pathlib import Path

import numpy as np
import pytest

from tests.quantize.quantize_cases import answer, export

MODEL = '''
import numpy as np
import torch
from torch import nn


class LastGrid(nn.Module):
    """The grid of the last call, made anew where the size is another."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
        self.grid = torch.zeros(0, 16)

    def forward(self, x):
        if self.grid.shape[0] != x.shape[0]:
            self.grid = torch.arange(x.shape[0] * 16, dtype=x.dtype).view(-1, 16) / 100
        return self.layers(x + self.grid)


class ByShape(LastGrid):
    def __init__(self):
        super().__init__()
        self.kept = {}

    def forward(self, x):
        if x.shape not in self.kept:
            self.kept[x.shape] = torch.arange(x.numel(), dtype=x.dtype).view(x.shape) / 100
        return self.layers(x + self.kept[x.shape])


def last_grid(): return LastGrid()
def by_shape(): return ByShape()
'''

CONFIG = """
name = "kept"
[model]
entry = "kept.py:{name}"
[input]
kind = "tensor"
shapes = {{ x = ["batch", 16] }}
[export]
formats = ["torchscript"]
[quantize]
recipes = ["int8-dynamic"]
gate = false
"""


@pytest.mark.parametrize("name", ["last_grid", "by_shape"])
def test_int8_dynamic_captures_a_model_that_has_not_run(name: str, tmp_path: Path) -> None:
    """It runs one to find which weights are read; that one has kept the batch that it saw."""
    (tmp_path / "kept.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "pipeline.toml").write_text(CONFIG.format(name=name), encoding="utf-8")
    exported = export(tmp_path)
    result = exported.quantize()
    rng = np.random.default_rng(0)
    for batch in (1, 5, 32):
        x = rng.normal(size=(batch, 16)).astype(np.float32)
        (given,) = answer(result.path("torchscript-int8-dynamic"), [x], "x86_64")
        (wanted,) = answer(exported.fp32("torchscript"), [x])
        np.testing.assert_allclose(given, wanted, atol=0.05 * np.abs(wanted).max())
