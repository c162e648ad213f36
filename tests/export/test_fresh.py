"""Models that keep something between two calls: what is exported has not been called before."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.export.conftest import ROWS, export

KEEPS = '''
import torch
from torch import nn


class ByShape(nn.Module):
    """A dict by size, and a buffer that counts what was seen."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.kept = {}

    def forward(self, x):
        self.seen += x.shape[0]
        if x.shape[1] not in self.kept:
            self.kept[x.shape[1]] = torch.linspace(0, 1, x.shape[1])
        return self.layer(x + self.kept[x.shape[1]])


class ByWholeShape(ByShape):
    """The batch is part of the key, and so is a number computed of it."""

    def forward(self, x):
        for key in (x.shape, (x.shape[0], 2 * x.shape[1])):
            if key not in self.kept:
                self.kept[key] = torch.linspace(0, 1, x.shape[0] * x.shape[1]).view(x.shape)
            x = x + self.kept[key]
        return self.layer(x)


class LastGrid(nn.Module):
    """The grid of the last call, made anew where the size is another."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.grid = torch.zeros(0, 4)

    def forward(self, x):
        if self.grid.shape[0] != x.shape[0]:
            self.grid = torch.arange(x.shape[0] * 4, dtype=x.dtype).view(-1, 4) / 100
        return self.layer(x + self.grid)


class LazyTable(nn.Module):
    """A table that the first call computes, whatever its size."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.table = None

    def forward(self, x):
        if self.table is None:
            self.table = torch.exp(-torch.arange(x.shape[1], dtype=x.dtype))
        return self.layer(x * self.table)


class Counting(nn.Module):
    """Counts its calls, and warms up in the first: an exporter would see another path later."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 1:
            x = torch.tensor(x.numpy())  # what no exporter follows
        return self.layer(x)


def by_shape(): return ByShape()
def by_whole_shape(): return ByWholeShape()
def last_grid(): return LastGrid()
def lazy_table(): return LazyTable()
def counting(): return Counting()
'''


@pytest.fixture
def keeping(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "keeps.py").write_text(KEEPS, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["by_shape", "by_whole_shape", "last_grid", "lazy_table"])
def test_nothing_of_the_probes_is_exported(keeping: Path, name: str) -> None:
    result = export(keeping, {"entry": f"keeps.py:{name}"}, input=ROWS)
    assert set(result.artifacts) == {"torchscript", "onnx"}
    assert result.artifacts["torchscript"].details["capture"] == "trace"
    rng = np.random.default_rng(0)
    for batch in (1, 3, 7, 2):
        result.assert_same(rng.normal(size=(batch, 4)).astype(np.float32))


def test_a_capture_is_of_the_first_call(keeping: Path) -> None:
    """Every later one takes a way that a trace makes a constant of."""
    only = {"formats": ["torchscript"], "capture": "trace"}
    result = export(keeping, {"entry": "keeps.py:counting"}, input=ROWS, export=only)
    result.assert_same(np.ones((3, 4), np.float32))


@pytest.mark.parametrize("formats", [["torchscript", "onnx"], ["onnx", "torchscript"]])
def test_buffers_are_as_they_were_published(keeping: Path, formats: list[str]) -> None:
    """The probes, a trace and what it is compared on have counted; the files begin at nothing."""
    options = {"formats": formats, "exporter": "legacy"}
    result = export(keeping, {"entry": "keeps.py:by_shape"}, input=ROWS, export=options)
    script = torch.jit.load(str(result.path("torchscript")))
    assert [int(buffer) for name, buffer in script.named_buffers() if name.endswith("seen")] == [0]
    for tensor in onnx.load(result.path("onnx")).graph.initializer:
        if tensor.name.endswith("seen"):
            assert onnx.numpy_helper.to_array(tensor) == 0
