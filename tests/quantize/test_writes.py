"""What a model writes in place stays in its TorchScript int8, or it is refused with the line."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from tests.quantize.quantize_cases import Exported, answer, export

MODEL = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 3)
        self.cut = nn.ReLU(inplace=True)

    def forward(self, x):
        h = self.conv(x)
        {body}
        return self.head(h.mean((2, 3)))


class Few(torch.utils.data.Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return (rng.uniform(size=(3, 6, 6)) * 2.5).astype(np.float32), np.zeros(3, np.float32)


def sets():
    return {{"train": Few(), "validation": Few()}}
"""
PROJECT = """
name = "it"
[model]
entry = "model.py:Model"
[data]
entry = "model.py:sets"
[input]
kind = "tensor"
[export]
formats = ["torchscript"]
[quantize]
recipes = ["torchscript:int8-static"]
gate = false
calibration_samples = 16
batch_size = 8
"""


def project(folder: Path, body: str) -> Exported:
    (folder / "pipeline.toml").write_text(PROJECT)
    (folder / "model.py").write_text(MODEL.format(body=body))
    return export(folder)


@pytest.mark.parametrize(
    "body",
    [
        "h.clamp_(max=0.1)",
        "F.relu(h, inplace=True)",
        "self.cut(h)",
        "h.sub_(0.5).clamp_(max=0.1); h.mul_(2)",
        "a, b = h.split(4, 1); h = torch.cat([a, b], 1); h.clamp_(max=0.1)",
        "h += 1",
    ],
)
def test_a_statement_in_place_is_kept(tmp_path: Path, body: str) -> None:
    made = project(tmp_path, body)
    int8 = made.quantize().path("torchscript-int8-static")
    x = np.random.default_rng(9).uniform(size=(4, 3, 6, 6)).astype(np.float32) * 2.5
    (expected,), (given,) = answer(made.fp32("torchscript"), [x]), answer(int8, [x])
    noise = np.square(given - expected).sum()
    assert 10 * np.log10(np.square(expected).sum() / noise) > 25  # without its write: below 15


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "h[:, 0].zero_()",
            r"model\.py:17: h\[:, 0\]\.zero_\(\) writes into a tensor that is read",
        ),
        ("v = h.flatten(2); h.mul_(3); h = v[..., None]", "read under another name"),
        ("g = h; g += 1", r"(?s)gives other answers .*model\.py:17: g = h; g \+= 1"),
        ("h[:, 0] = 0", r"(?s)item assignment.*model\.py:17"),
    ],
)
def test_a_write_under_another_name_is_refused(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        project(tmp_path, body).quantize()
    assert "onnx:int8-static" in str(caught.value.hint)


def test_memory_given_to_an_operator_is_refused_before_that(tmp_path: Path) -> None:
    """No runner takes `out=`, so that export says it, and not the first device."""
    with pytest.raises(UsageError, match=r"TorchScript: .*memory to write into, 'out'") as caught:
        project(tmp_path, "torch.mul(h, 3, out=h)")
    assert 'formats = ["onnx"]' in str(caught.value.hint)
