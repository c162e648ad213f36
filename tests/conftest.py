"""Fixtures for all tests: small real projects in folders of their own."""

import glob
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

import pipeline  # noqa: F401  before a test imports onnxruntime, whose telemetry it switches off
from tests import command

LOCK = Path(__file__).parents[1] / "requirements.lock"

# What a shell starts in the background inherits that SIGINT is ignored, and hands that on: the
# programs that tests interrupt would never hear of it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    locked = re.search(r"^torch==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert locked is not None
    if Version(version("torch")) < Version(locked[1]):
        for item in items:
            if item.get_closest_marker("locked_torch"):
                item.add_marker(pytest.mark.skip(f"of torch {locked[1]}"))


def alive(folder: Path, pattern: str) -> list[Path]:
    """What matches, below a folder that a process is at work in.

    `Path.rglob` raises where a directory goes away while it is walked.
    """
    found = glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True)
    return [folder / path for path in found]


TINY_CODE = '''
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


class Bars(Dataset):
    """Pictures of a bright bar, upright (0) or lying (1), in noise."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.classes = rng.integers(0, 2, count)
        self.pictures = rng.integers(0, 120, (count, 8, 8, 1), dtype=np.uint8)
        for picture, lying in zip(self.pictures, self.classes):
            at = rng.integers(1, 7)
            if lying:
                picture[at, :] = 255
            else:
                picture[:, at] = 255

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        return self.pictures[index], int(self.classes[index])


def build_data(train=192, validation=96):
    return {"train": Bars(train, 1), "validation": Bars(validation, 2)}


def build_model(width=8):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, 2),
    )
'''

TINY_CONFIG = """
name = "tiny"
[model]
entry = "tiny.py:build_model"
[data]
entry = "tiny.py:build_data"
[input]
kind = "image"
size = [8, 8]
channels = 1
mean = [0.5]
std = [0.25]
[output]
kind = "classification"
labels = ["upright", "lying"]
[train]
epochs = 6
batch_size = 32
lr = 0.02
threads = 1
[quantize]
recipes = ["int8-static"]
gate = false
[verify.tolerances.int8]
max_drop = 0.05
[bench]
runtimes = ["onnxruntime"]
seconds = 0.05
batch_sizes = [1, 4]
[package]
golden = 2
"""

# For `write_tiny`, where bundles are compared: else the fastest comes first, by a measurement.
PINNED = (("golden = 2", 'golden = 2\nfirst = "onnx-int8-static"'),)

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs `pipeline ...` in a process of its own; `cwd` and `env` as subprocess.run has them."""
    return command.run


def write_tiny(folder: Path, replacements: Sequence[tuple[str, str]] = ()) -> Path:
    """The tiny project in a folder; `replacements` are made in its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    text = TINY_CONFIG
    for old, new in replacements:
        assert old in text, f"the tiny configuration has no {old!r}"
        text = text.replace(old, new)
    (folder / "tiny.py").write_text(TINY_CODE, encoding="utf-8")
    (folder / "pipeline.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A fresh tiny project, under a path with a space and a letter beyond ASCII."""
    return write_tiny(tmp_path / "tiny prøject")
