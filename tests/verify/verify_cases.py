"""A small project of each kind, and artifacts of it made by hand, good ones and bad ones."""

import copy
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from pipeline import verify
from pipeline.config import Config
from pipeline.config.file import parse_config
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.graph.wrap import Wrapped
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import (
    SIGNATURE,
    Artifact,
    file_name,
    read_json,
    sha256_of,
    write_index,
    write_json,
)
from pipeline.workspace.results.verdict import VERDICT
from pipeline.workspace.stage import Job
from tests.reference import reference_model

CODE = '''
import numpy as np
import torch
from torch import nn


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def pictures(count=320, seed=2, sizes=((8, 8),)):
    """Red upright (0), red lying (1) and blue lying (2) bars in noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        height, width = sizes[index * len(sizes) // count]
        picture = rng.integers(0, 230, (height, width, 3), dtype=np.uint8)
        kind = int(rng.integers(0, 3))
        at = int(rng.integers(1, min(height, width) - 1))
        bar = picture[:, at] if kind == 0 else picture[at]
        bar[:] = [0, 0, 255] if kind == 2 else [255, 0, 0]
        rows.append((picture, kind))
    return Rows(rows)


def picture_data(validation=320, sizes=((8, 8),)):
    return {"train": pictures(256, 1), "validation": pictures(validation, 2, sizes)}


def picture_model(width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(8), nn.Flatten(), nn.Linear(width, 3),
    )


def table(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    return Rows([(row, np.float32(30 * row[0] - 20 * row[1])) for row in x])


def table_data(validation=320):
    return {"train": table(256, 1), "validation": table(validation, 2)}


def table_model():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


class Tokens(nn.Module):
    """Two inputs by name, three outputs: scores, an embedding, the index of the largest score."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, ids, mask):
        weights = mask.float().unsqueeze(-1) + 0.01
        mean = (self.embedding(ids) * weights).sum(1) / weights.sum(1)
        scores = self.head(mean)
        return {"scores": scores, "mean": 1000 * mean, "first": scores.argmax(-1)}


def token_data(validation=320):
    rng = np.random.default_rng(3)
    def row():
        ids = rng.integers(0, 10, 5)
        return {"ids": ids, "mask": rng.integers(0, 2, 5).astype(bool)}, int(ids.max() > 8)
    return {"validation": Rows([row() for _ in range(validation)])}
'''

# What these tests are about is the verdict, whoever gave the answers.
RUNTIMES = {"verify": {"runtimes": ["torchscript", "onnxruntime"], "samples": 320}}
PICTURES = RUNTIMES | {
    "model": {"entry": "parts.py:picture_model"},
    "data": {"entry": "parts.py:picture_data"},
    "input": {"kind": "image", "size": [8, 8], "channels": 3, "mean": [0.4], "std": [0.25]},
    "output": {"kind": "classification", "labels": ["upright", "lying", "blue"]},
}
TABLE = RUNTIMES | {
    "model": {"entry": "parts.py:table_model"},
    "data": {"entry": "parts.py:table_data"},
    "output": {"kind": "regression"},
}
TOKENS = RUNTIMES | {
    "model": {"entry": "parts.py:Tokens"},
    "data": {"entry": "parts.py:token_data"},
    "input": {"shapes": {"ids": ["batch", "length"], "mask": ["batch", "length"]}},
}
IMAGE_IN = TensorSpec("image", "uint8", (None, None, None, 3))
SIGNATURES = {
    "pictures": Signature((IMAGE_IN,), (TensorSpec("probabilities", "float32", (None, 3)),)),
    "table": Signature(
        (TensorSpec("input", "float32", (None, 4)),), (TensorSpec("output", "float32", (None, 1)),)
    ),
    "tokens": Signature(
        (TensorSpec("ids", "int64", (None, None)), TensorSpec("mask", "bool", (None, None))),
        (
            TensorSpec("scores", "float32", (None, 3)),
            TensorSpec("mean", "float32", (None, 6)),
            TensorSpec("first", "int64", (None,)),
        ),
    ),
}


@dataclass
class Case:
    """A project in a folder with the folders of its stages."""

    folder: Path
    config: Config
    signature: Signature
    artifacts: list[Artifact] = field(default_factory=list)

    @property
    def inputs(self) -> dict[str, Path]:
        return {name: self.folder / name for name in ("train", "export", "quantize")}

    def configured(self, **sections: Any) -> "Case":
        """The same with other settings, in the same folders."""
        data = self.config.model_dump(mode="json", exclude_unset=True)
        merged = {**data, **{k: {**data.get(k, {}), **v} for k, v in sections.items()}}
        config = parse_config(merged, self.folder / "pipeline.toml")
        return Case(self.folder, config, self.signature, self.artifacts)

    def signed(self, signature: Signature) -> "Case":
        write_json(self.inputs["export"] / SIGNATURE, signature.to_json())
        return Case(self.folder, self.config, signature, self.artifacts)

    def model(self) -> Wrapped:
        """A copy of the reference, to spoil."""
        return copy.deepcopy(reference_model(self.config, self.inputs["train"]))

    def add(
        self,
        content: bytes,
        format: str = "torchscript",
        precision: str = "fp32",
        recipe: str | None = None,
        made_for: str = "any",
    ) -> "Case":
        stage = "quantize" if recipe else "export"
        file = file_name(format, recipe or precision)  # type: ignore[arg-type]
        path = self.inputs[stage] / file
        path.write_bytes(content)
        name = f"{format}-{recipe or precision}"
        artifact = Artifact(
            name,
            format,  # type: ignore[arg-type]
            precision,  # type: ignore[arg-type]
            recipe,
            file,
            len(content),
            sha256_of(path),
            18,
            made_for,
        )
        self.artifacts = [a for a in self.artifacts if a.id != name] + [artifact]
        for folder, quantized in (("export", False), ("quantize", True)):
            mine = [a for a in self.artifacts if bool(a.recipe) == quantized]
            write_index(self.inputs[folder], mine)
        return self

    def verify(self, out: str = "verify") -> dict[str, Any]:
        """The verdict, with the stage's summary and what it told under keys of their own."""
        folder, scratch, report = self.folder / out, self.folder / "scratch", Silent()
        folder.mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        summary = verify.run(Job(self.config, self.inputs, folder, scratch, report))
        assert not list(scratch.iterdir()), "the stage cleans its scratch folder"
        verdict: dict[str, Any] = read_json(folder / VERDICT)
        return {**verdict, "summary": summary, "warnings": report.warnings}


def traced(model: nn.Module, *inputs: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(model, inputs, check_trace=False), buffer)
    return buffer.getvalue()


def as_onnx(model: nn.Module, inputs: Sequence[torch.Tensor], axes: Sequence[dict[int, Any]],
            names: Sequence[str], out: Sequence[str]) -> bytes:  # fmt: skip
    program = torch.onnx.export(
        model, tuple(inputs), dynamo=True, dynamic_shapes=(tuple(axes),), verbose=False,
        input_names=list(names), output_names=list(out), opset_version=18,
    )  # fmt: skip
    buffer = io.BytesIO()
    onnx.save(program.model_proto, buffer)  # type: ignore[union-attr]
    return buffer.getvalue()


def fit(model: nn.Module, data: Any, loss: Callable[..., torch.Tensor], steps: int) -> None:
    inputs = torch.from_numpy(np.stack([row[0] for row in data["train"].rows]))
    targets = torch.from_numpy(np.array([row[1] for row in data["train"].rows]))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        optimizer.step()
    model.eval()


PICTURE = torch.randint(0, 256, (2, 9, 7, 3), dtype=torch.uint8)
SENTENCES = (torch.tensor([[1, 2, 3]] * 2), torch.ones(2, 3, dtype=torch.bool))


def good(case: Case) -> bytes:
    inputs = {"image": (PICTURE,), "ids": SENTENCES}.get(
        case.signature.inputs[0].name, (torch.zeros(2, 4),)
    )
    return traced(case.model(), *inputs)


def only_row(case: Case) -> dict[str, Any]:
    (row,) = case.verify()["rows"]
    assert isinstance(row, dict)
    return row


def said(row: dict[str, Any]) -> str:
    assert row["verdict"] == "fail"
    return "\n".join(row["reasons"])


class Flipped(nn.Module):
    def __init__(self, model: nn.Module, axis: int, output: bool) -> None:
        super().__init__()
        self.model, self.axis, self.output = model, axis, output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x).flip(self.axis) if self.output else self.model(x.flip(self.axis))
