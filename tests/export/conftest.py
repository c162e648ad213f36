"""Small models of the kinds that exporters stumble over, taken through the real stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pipeline.export
from pipeline.config.file import parse_config
from pipeline.graph.signature import Signature
from pipeline.graph.wrap import Wrapped, flatten
from pipeline.project.entries import build_model
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import Artifact, read_index, read_signature
from pipeline.workspace.stage import Job, Summary
from tests.reference import reference_model

MODELS = '''
import collections
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


def cnn(classes=5, channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, classes),
    )


class Counting(nn.Module):
    """Keeps how often it was asked."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


def pooled():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def shares():
    return nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))


class Projected(nn.Module):
    """Of ONNX no operator."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 8, proj_size=3, batch_first=True)

    def forward(self, x):
        return self.cell(x[:, None])[0][:, 0]


class Branch(nn.Module):
    """Answers by one of two layers, as the input has it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.second = nn.Linear(4, 3)

    def forward(self, x):
        if x.sum() > 0:
            return self.first(x)
        return self.second(x)


class Stubborn(Branch):
    """A branch that torch.jit.script cannot compile."""

    def forward(self, x, **options):
        if x.sum() > 0:
            return self.first(x)
        return self.second(x)


class Baked(nn.Module):
    """A length that a trace takes for a constant, in code that cannot be scripted."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        length = int(np.prod(np.array([x.shape[1]])))
        return self.layer(x).cumsum(1)[:, :length].sum(1)


class Tokens(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(200, 32)
        self.position = nn.Embedding(64, 32)
        layer = nn.TransformerEncoderLayer(32, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(32, 200, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.encoder(self.embedding(tokens) + self.position(places)))


class Twins(nn.Module):
    """Two layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(64, 64, bias=False)
        self.two = nn.Linear(64, 64, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


class Named(NamedTuple):
    scores: torch.Tensor
    features: torch.Tensor


class Several(nn.Module):
    """Several inputs and outputs, in the container that `kind` names."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(4, 3)

    def forward(self, x, mask):
        scores, features = self.layer(x) * mask, x * 2
        if self.kind == "dict":
            return {"scores": scores, "features": features}
        if self.kind == "named":
            return Named(scores, features)
        return [scores, features] if self.kind == "list" else (scores, features)


class ScriptedDict(Branch):
    """A branch and a dict, for torch.jit.script."""

    def forward(self, x):
        if x.sum() > 0:
            y = self.first(x)
        else:
            y = self.second(x)
        return {"scores": y, "twice": y * 2}


class OnlyByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x, *, scale):
        return self.layer(x) * scale


class Returns(nn.Module):
    """Returns what it should not."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        y = self.layer(x)
        if self.what == "raises":
            return y @ y
        return {
            "text": "three", "none": None, "empty": (), "bfloat16": y.bfloat16(),
            "cube": y[:, :, None, None], "scores": y,
            "random": y + torch.rand(3), "squeezed": y[:, :1].squeeze(),
        }[self.what]


class OneByOne(nn.Module):
    def forward(self, x):
        return x.reshape(2, 4).sum(1, keepdim=True)


class Rows(Dataset):
    """(inputs, class), inputs as the `kind` of Several wants them, or of varying length."""

    def __init__(self, kind, count=12):
        self.kind = kind
        self.rng = [np.random.default_rng(index) for index in range(count)]

    def __len__(self):
        return len(self.rng)

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        x = rng.normal(size=4).astype(np.float32)
        mask = rng.integers(0, 2, 1).astype(np.float32)
        if self.kind == "varying":
            return rng.normal(size=(3 + index % 3, 4)).astype(np.float32), 0
        if self.kind == "by name":
            return {"mask": mask, "x": x}, 0
        if self.kind == "scale":
            return {"x": x, "scale": mask}, 0
        return (x, mask), 0


def rows(kind="tuple"):
    return {"train": Rows(kind), "validation": Rows(kind)}


def branch(): return Branch()
def stubborn(): return Stubborn()
def baked(): return Baked()
def tokens(): return Tokens()
def twins(): return Twins()
def several(kind="tuple"): return Several(kind)
def scripted_dict(): return ScriptedDict()
def only_by_name(): return OnlyByName()
def returns(what): return Returns(what)
def one_by_one(): return OneByOne()
def narrow(): return nn.Linear(8, 3)
'''

IMAGE = {"kind": "image", "size": [16, 20], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
ROWS = {"shapes": {"x": ["batch", 4]}}


@dataclass(frozen=True)
class Result:
    """What the stage left."""

    out: Path
    summary: Summary
    report: Silent
    reference: Wrapped

    @property
    def artifacts(self) -> dict[str, Artifact]:
        return {artifact.format: artifact for artifact in read_index(self.out)}

    @property
    def signature(self) -> Signature:
        return read_signature(self.out)

    def path(self, format: str) -> Path:
        return self.out / self.artifacts[format].file

    def eager(self, *inputs: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            answer = self.reference(*(torch.from_numpy(array) for array in inputs))
        return [tensor.numpy() for tensor in flatten(answer)]

    def run(self, format: str, *inputs: np.ndarray) -> list[np.ndarray]:
        runtime = next(r for r in RUNTIMES.values() if r.format == format)
        runner = runtime.open(self.path(format), Asked(self.signature, 1))
        try:
            return runner.run(list(inputs))
        finally:
            runner.close()

    def assert_same(self, *inputs: np.ndarray, tolerance: float = 1e-5) -> None:
        """Every artifact answers as eager PyTorch does."""
        expected = self.eager(*inputs)
        for format in self.artifacts:
            given = self.run(format, *inputs)
            assert len(given) == len(expected)
            for one, other in zip(given, expected, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=format)


def write_models(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "models.py").write_text(MODELS, encoding="utf-8")
    return folder


def export(folder: Path, model: str | dict[str, Any], **sections: Any) -> Result:
    """Runs the stage for a function of MODELS (or a `[model]` section) in a project folder."""
    write_models(folder)
    given = {"entry": f"models.py:{model}"} if isinstance(model, str) else model
    config = parse_config({"model": given, **sections}, folder / "pipeline.toml")
    train, out, scratch = folder / "train", folder / "export", folder / "scratch"
    for made in (train, out, scratch):
        made.mkdir()
    torch.manual_seed(1)
    if config.model.entry:
        save_weights(build_model(config), train / WEIGHTS)
    report = Silent()
    summary = pipeline.export.run(Job(config, {"train": train}, out, scratch, report))
    return Result(out, summary, report, reference_model(config, train))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project under a path with a space and letters beyond ASCII."""
    return tmp_path / "pröject é"
