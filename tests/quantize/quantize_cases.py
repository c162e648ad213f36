"""Small real projects on which recipes are tried, and what one run of the stage makes."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pipeline.export
import pipeline.quantize
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.formats.read_back import Facts, read_back
from pipeline.graph.array import Array
from pipeline.graph.preprocess import Preprocess
from pipeline.graph.signature import Signature
from pipeline.project.entries import build_model
from pipeline.project.samples import Split, load_samples, stream_samples
from pipeline.project.weights import save_weights
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import Artifact, read_index, read_signature
from pipeline.workspace.stage import Job

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

MODELS = '''
import numpy as np
import torch
from torch import nn


class Few(torch.utils.data.Dataset):
    def __init__(self, make, count=48):
        rng = np.random.default_rng(0)
        self.items = [make(rng) for _ in range(count)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index], 0


def sets(make):
    return {"train": Few(make), "validation": Few(make)}


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))


def rows():
    return sets(lambda rng: rng.normal(size=12).astype(np.float32))


class Attention(nn.Module):
    """A transformer block, written out as torch.fx can follow it."""

    def __init__(self, width=16):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):
        x = self.norm(tokens)
        scores = self.query(x) @ self.key(x).transpose(1, 2) / 4.0
        x = tokens + torch.softmax(scores, -1) @ self.value(x)
        return self.head(x.mean(1))


def encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.Sequential(layer, nn.Linear(16, 3))


def sentences():
    return sets(lambda rng: rng.normal(size=(int(rng.integers(3, 7)), 16)).astype(np.float32))


class Two(nn.Module):
    """Called by name, in another order than the samples have; two outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Linear(6, 8), nn.Linear(4, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, b, a):
        x = torch.relu(self.left(a) + self.right(b))
        return {"score": self.head(x), "features": x}


def pairs():
    return sets(lambda rng: {
        "a": rng.normal(size=6).astype(np.float32), "b": rng.normal(size=4).astype(np.float32),
    })


class Tied(nn.Module):
    """One square weight in two places."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.head(torch.relu(self.layer(torch.relu(self.layer(x)))))


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(12, 16), nn.Linear(16, 2)

    def forward(self, x):
        x = self.first(x)
        if x.sum() > 0:
            x = x * 2
        return self.last(x)


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )


class Loud(nn.Module):
    """Values inside lie above what float16 holds."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(12, 8), nn.Linear(8, 2)
        nn.init.constant_(self.first.weight, 3e4)
        nn.init.constant_(self.last.weight, 1e-6)

    def forward(self, x):
        return self.last(self.first(x.abs() + 1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.LSTM(16, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, tokens):
        states, _ = self.cell(tokens)
        return self.head(states[:, -1])


def nothing():
    return nn.Softmax(-1)
'''

TENSOR = """
name = "it"
[model]
entry = "models.py:{model}"
[data]
entry = "models.py:{data}"
[input]
kind = "tensor"
{input}
[quantize]
recipes = ["int8-static"]
gate = false
calibration_samples = 24
batch_size = 8
"""

CONVOLUTIONS = """
name = "it"
[model]
entry = "models.py:convolutions"
[input]
kind = "image"
size = [16, 16]
channels = 3
[output]
kind = "classification"
[quantize]
recipes = ["int8-static"]
gate = false
calibration_samples = 8
batch_size = 4
"""

PROJECTS = {
    "mlp": TENSOR.format(model="mlp", data="rows", input=""),
    "attention": TENSOR.format(
        model="Attention", data="sentences", input='shapes = { tokens = ["batch", "length", 16] }'
    ),
    "encoder": TENSOR.format(
        model="encoder", data="sentences", input='shapes = { tokens = ["batch", "length", 16] }'
    ),
    "tied": TENSOR.format(model="Tied", data="rows", input=""),
    "two": TENSOR.format(model="Two", data="pairs", input=""),
    "branch": TENSOR.format(model="Branch", data="rows", input="")
    + '[export]\nformats = ["torchscript"]\n',
    "convolutions": CONVOLUTIONS,
    "loud": TENSOR.format(model="Loud", data="rows", input="") + '[export]\nformats = ["onnx"]\n',
    "recurrent": TENSOR.format(
        model="Recurrent", data="sentences", input='shapes = { tokens = ["batch", "length", 16] }'
    ),
    "nothing": TENSOR.format(model="nothing", data="rows", input="")
    + '[export]\nformats = ["onnx"]\n',
}


@dataclass
class Result:
    """What one run of the stage made."""

    out: Path
    summary: dict[str, Any]
    report: Silent
    artifacts: dict[str, Artifact] = field(default_factory=dict)

    def path(self, id: str) -> Path:
        return self.out / self.artifacts[id].file

    def facts(self, id: str) -> Facts:
        return read_back(self.path(id), self.artifacts[id].format)


@dataclass
class Exported:
    """A project with its train and export folders."""

    folder: Path
    overrides: tuple[str, ...] = ()

    def config(self, *overrides: str) -> Config:
        return load_config(self.folder, (*self.overrides, *overrides))

    def quantize(self, *overrides: str) -> Result:
        out = self.folder / f"out {hashlib.sha256(repr(overrides).encode()).hexdigest()[:8]}"
        shutil.rmtree(out, ignore_errors=True)
        scratch = out / "scratch"
        scratch.mkdir(parents=True)
        inputs = {name: self.folder / name for name in ("train", "export")}
        report = Silent()
        job = Job(self.config(*overrides), inputs, out, scratch, report)
        result = Result(out, pipeline.quantize.run(job), report)
        result.artifacts = {artifact.id: artifact for artifact in read_index(out)}
        assert not list(scratch.iterdir())
        return result

    @property
    def signature(self) -> Signature:
        return read_signature(self.folder / "export")

    def fp32(self, format: str) -> Path:
        return self.folder / "export" / f"model.fp32.{'onnx' if format == 'onnx' else 'pt'}"


def export(folder: Path, *overrides: str) -> Exported:
    """Starting weights (or those in `train/`) as a train stage leaves them, and the export."""
    config = load_config(folder, overrides)
    train, out, scratch = (folder / name for name in ("train", "export", "scratch"))
    for each in (train, out, scratch):
        each.mkdir(exist_ok=True)
    if config.model.entry and not list(train.iterdir()):
        save_weights(build_model(config), train / "weights.safetensors")
    pipeline.export.run(Job(config, {"train": train}, out, scratch, Silent()))
    return Exported(folder, overrides)


def answer(path: Path, inputs: Sequence[Any], made_for: str = "any") -> list[Any]:
    name = "onnxruntime" if path.suffix == ".onnx" else "torchscript"
    unread = Signature((), ())  # these two ask the file
    runner = RUNTIMES[name].open(path, Asked(unread, 1, made_for))
    try:
        return runner.run(list(inputs))
    finally:
        runner.close()


def trained(config: Config) -> torch.nn.Module:
    samples = load_samples(config, "train", 1400)
    assert samples.targets is not None
    classes = torch.tensor(np.array(samples.targets))
    with torch.no_grad():
        prepare = Preprocess(config.input)
        pictures = prepare(torch.from_numpy(np.stack([row[0] for row in samples.inputs])))
    model = build_model(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(6):
        for rows in torch.randperm(len(pictures)).split(32):
            loss = torch.nn.functional.cross_entropy(model(pictures[rows]), classes[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


def batches(
    config: Config, signature: Signature, split: Split, count: int, size: int
) -> Iterator[list[Array]]:
    """The first samples of a split, as an exported graph takes them."""
    for rows in signature.grouped(stream_samples(config, split, count), size):
        yield signature.batched(rows)
