"""A project so small that a training of it takes a fraction of a second."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import pipeline.train
from pipeline.config.file import load_config
from pipeline.errors import Interrupted
from pipeline.system.progress import Silent
from pipeline.workspace.stage import Job, Summary

# Everything that a resumed training could get wrong: dropout, batch norm, samples that are random
# in three ways, a last batch that is smaller, and a buffer that no state dict holds.
CODE = '''
import os, random, signal
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

HERE = Path(__file__).parent


class Points(Dataset):
    """Two clouds of points, moved a little each time that they are read."""

    def __init__(self, count, seed, noise=0.0, stop=False):
        rng = np.random.default_rng(seed)
        self.classes = rng.integers(0, 2, count)
        self.points = rng.normal(size=(count, 4)).astype(np.float32)
        self.points[:, 0] += 2.0 * self.classes
        self.noise, self.stop = noise, stop

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        flag = HERE / "stop while validating"
        if self.stop and index == 3 and flag.exists():
            flag.unlink()
            os.kill(os.getpid(), signal.SIGTERM)
        moved = random.gauss(0, 1) + np.random.normal() + torch.randn(()).item()
        point = self.points[index] + np.float32(self.noise * moved)
        return point, int(self.classes[index])


def build_data(train=44, validation=20, noise=0.1):
    return {"train": Points(train, 1, noise), "validation": Points(validation, 2, stop=True)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(8, 2, bias=False),
        )
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.layers(x) + 1e-3 * self.calls


def build_model():
    return Net()


def binary():
    return nn.Sequential(nn.Linear(4, 1))
'''

CONFIG = """
[model]
entry = "points.py:build_model"
[data]
entry = "points.py:build_data"
[input]
shapes = { x = ["batch", 4] }
[output]
kind = "classification"
[train]
epochs = 3
batch_size = 12
lr = 0.02
threads = 1
"""


class Stopping(Silent):
    """Sends a signal to this process when the training bar has moved `after` times."""

    def __init__(self, after: int, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.after = after
        self.number = number

    @contextmanager
    def bar(self, description: str, total: float | None) -> "Iterator[Stopping]":
        yield self

    def advance(self, steps: float = 1, text: str = "") -> None:
        if text:  # the first move, to where the training goes on, has none
            self.after -= 1
            if self.after == 0:
                os.kill(os.getpid(), self.number)


@dataclass
class Project:
    """A folder with points.py and pipeline.toml, and what came of training it."""

    folder: Path
    overrides: list[str] = field(default_factory=list)

    def train(self, *overrides: str, to: str = "out", report: Silent | None = None) -> Summary:
        """One call of the stage; checkpoints of an interrupted one are taken up."""
        job = self.job(*overrides, to=to, report=report)
        threads = torch.get_num_threads()
        try:
            return pipeline.train.run(job)
        finally:
            assert torch.get_num_threads() == threads

    def job(self, *overrides: str, to: str = "out", report: Silent | None = None) -> Job:
        config = load_config(self.folder, [*self.overrides, *overrides])
        out, scratch = self.folder / to, self.folder / f"{to}.scratch"
        for folder in (out, scratch):
            folder.mkdir(exist_ok=True)
        return Job(config, {}, out, scratch, report or Silent())

    def train_in_pieces(self, steps: int, *overrides: str, to: str = "pieces") -> int:
        """Interrupted by SIGTERM after every `steps` steps; how many times that was."""
        for stops in range(1000):
            try:
                self.train(*overrides, to=to, report=Stopping(steps))
            except Interrupted:
                continue
            return stops
        raise AssertionError("the training makes no progress")

    def write(self, code: str) -> None:
        """More functions for points.py."""
        with (self.folder / "points.py").open("a", encoding="utf-8") as file:
            file.write(code)

    def result(self, to: str = "out") -> dict[str, Any]:
        """Weights and figures of a finished training, without those of time."""
        out = self.folder / to
        times = ("samples_per_s", "seconds")
        rows = [
            {key: value for key, value in row.items() if key not in times} for row in self.rows(to)
        ]
        return {
            "weights": (out / "weights.safetensors").read_bytes(),
            "last": (out / "last.safetensors").read_bytes(),
            "summary": (out / "train.json").read_text(),
            "rows": rows,
        }

    def rows(self, to: str = "out") -> list[dict[str, Any]]:
        lines = (self.folder / to / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


MakeProject = Callable[..., Project]


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """Writes the project into a folder of its own; `overrides` hold for all its trainings."""

    def make(*overrides: str, code: str = "") -> Project:
        folder = tmp_path / "points prøject"
        folder.mkdir()
        (folder / "points.py").write_text(CODE + code, encoding="utf-8")
        (folder / "pipeline.toml").write_text(CONFIG, encoding="utf-8")
        return Project(folder.resolve(), list(overrides))

    return make


def same(one: dict[str, Any], other: dict[str, Any], keys: Sequence[str] = ()) -> bool:
    """Says which part of two results differs, rather than printing bytes."""
    different = [key for key in keys or one if one[key] != other[key]]
    assert different == []
    return True
