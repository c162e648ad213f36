"""What a library cannot do for a recipe is left out with its reason, and the rest goes on."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.project.library import RefusedError, library
from tests.quantize.quantize_cases import Exported, export

MODELS = """
import numpy as np
import torch
from torch import nn


class Few(torch.utils.data.Dataset):
    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return self.make(np.random.default_rng(index)), np.zeros(3, np.float32)


def sets(make):
    return {"train": Few(make), "validation": Few(make)}


class Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x)
        return torch.round(x.clamp(0, 1) * (2**k - 1)) / (2**k - 1)

    @staticmethod
    def backward(ctx, g):
        return g, None


class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.b(Steps.apply(self.a(x), 4))


def rows():
    return sets(lambda rng: rng.normal(size=12).astype(np.float32))


class Filter(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.w = nn.Parameter(torch.randn(4, 8, 5, 2) * 0.1 + 0.5)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        f = torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(self.w)
        return self.conv(torch.fft.irfft2(f, s=(8, 8), norm="ortho"))


def planes():
    return sets(lambda rng: rng.normal(size=(4, 8, 8)).astype(np.float32))


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(7, 8), nn.Linear(8, 3)

    def forward(self, ids, x):
        return self.head(self.embed(ids) + x * ids[:, None])


def pairs():
    return sets(lambda rng: (rng.integers(0, 7), rng.normal(size=8).astype(np.float32)))


class Shared(nn.Module):

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        for index, norm in enumerate(self.norms):
            nn.init.constant_(norm.weight, 1.0 + 3 * index)

    def forward(self, x):
        return sum(norm(self.conv(x * 2**i)) for i, norm in enumerate(self.norms))


class Up(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2, groups=4)
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.last(self.up(self.first(x).relu()).relu())
"""
PROJECT = """
name = "it"
[model]
entry = "models.py:{model}"
[data]
entry = "models.py:{data}"
[input]
kind = "tensor"
[quantize]
recipes = ["int8-static"]
gate = false
calibration_samples = 16
batch_size = 8
"""


def project(folder: Path, model: str, data: str, *overrides: str) -> Exported:
    (folder / "pipeline.toml").write_text(PROJECT.format(model=model, data=data))
    (folder / "models.py").write_text(MODELS)
    return export(folder, *overrides)


@pytest.mark.parametrize(
    ("model", "data"), [("Rounded", "rows"), ("Filter", "planes"), ("Counted", "pairs")]
)
def test_torchscript_is_left_out_where_torch_fx_fails(
    tmp_path: Path, model: str, data: str
) -> None:
    made = project(tmp_path, model, data)
    result = made.quantize()
    assert "onnx-int8-static" in result.artifacts
    for skip in result.summary["skipped"]:
        assert (skip["format"], skip["recipe"]) == ("torchscript", "int8-static")
        assert "Error" in skip["reason"]
        assert any(skip["reason"] in warning for warning in result.report.warnings)
        assert not list(result.out.glob("*.pt"))
        with pytest.raises(UsageError, match="torchscript int8-static"):
            made.quantize('quantize.recipes=["torchscript:int8-static"]')
    assert bool(result.summary["skipped"]) != ("torchscript-int8-static" in result.artifacts)


def test_a_convolution_that_norms_share_is_left_out(tmp_path: Path) -> None:
    result = project(tmp_path, "Shared", "planes").quantize()
    assert list(result.artifacts) == ["onnx-int8-static"]
    (skip,) = result.summary["skipped"]
    assert skip["reason"].startswith("the model with batch norms folded into its layers")


def test_a_recipe_that_no_format_takes_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path, "Counted", "pairs", 'export.formats=["torchscript"]')
    with pytest.raises(UsageError, match="torchscript int8-static: calibrating: NotImplemented"):
        made.quantize()


def test_the_search_goes_on_without_what_a_library_refuses(tmp_path: Path) -> None:
    made = project(tmp_path, "Counted", "pairs")
    result = made.quantize('quantize.recipes=["auto"]', "quantize.budget_minutes=0.2")
    (said,) = (why for subject, why in result.summary["why"].items() if "torchscript" in subject)
    assert "int8-static histogram (torchscript int8-static: calibrating: NotImpl" in said
    (found, _) = json.loads((result.out / "quantize.json").read_text())["searches"]
    assert any("NotImplementedError" in (trial["failed"] or "") for trial in found["trials"])


def test_onnx_keeps_grouped_transposed_convolutions_float(tmp_path: Path) -> None:
    result = project(tmp_path, "Up", "planes").quantize()
    layers = result.summary["artifacts"]["onnx-int8-static"]["layers"]["convolutions"]
    assert layers == {"quantized": 2, "of": 3}


def test_torchscript_keeps_transposed_convolutions_float(tmp_path: Path) -> None:
    """Kernels of x86 answer them wrongly, without a word."""
    result = project(tmp_path, "Up", "planes").quantize('quantize.engine="x86"')
    layers = result.summary["artifacts"]["torchscript-int8-static"]["layers"]["convolutions"]
    assert layers == {"quantized": 2, "of": 3}


@pytest.mark.parametrize(
    ("error", "said"),
    [(KeyError(8), "KeyError: 8"), (RuntimeError("first\ngraph():\n  %x"), "RuntimeError: first")],
)
def test_what_a_library_raises_is_one_line(tmp_path: Path, error: Exception, said: str) -> None:
    with pytest.raises(RefusedError) as caught, library("quantizing", tmp_path, "Leave it out."):
        raise error
    assert caught.value.message == f"quantizing: {said}"
