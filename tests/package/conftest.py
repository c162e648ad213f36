"""Stage folders to pack: real ones, made once by the stages themselves on the tiny project."""

import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import export, package, verify
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.project.entries import build_model
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.system.machine import made_for
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_json, write_index, write_json
from pipeline.workspace.results.base import write_result
from pipeline.workspace.stage import Job
from tests import results
from tests.conftest import write_tiny

BENCH = results.bench(
    [
        results.bench_row(
            artifact="onnx-fp32",
            runtime="onnxruntime",
            threads=1,
            load_ms=4.0,
            first_ms=1.5,
            runs=64,
            p50_ms=1.0,
            p90_ms=1.25,
            p99_ms=2.0,
            throughput={"1": 1000.0, "16": 5000.0, "8": 4000.0},
            peak_bytes=90_000_000,
            baseline_bytes=60_000_000,
        ),
        results.bench_row(
            artifact="torchscript-fp32",
            runtime="torchscript",
            format="torchscript",
            threads=1,
            runs=0,
            error="it ended with signal 6",
        ),
    ],
    machine=replace(results.MACHINE, cpu="A processor", arch=made_for(), os="A system"),
)


@dataclass(frozen=True)
class Made:
    """The folders of the stages before package, and what they ran on."""

    config: Config
    folder: Path

    @property
    def inputs(self) -> Mapping[str, Path]:
        names = ("train", "export", "quantize", "verify", "bench")
        return {name: self.folder / name for name in names}

    @property
    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.inputs["verify"] / "verdict.json")
        return found

    def write_verdict(self, verdict: Mapping[str, Any]) -> None:
        write_json(self.inputs["verify"] / "verdict.json", verdict)

    def with_package(self, **changes: Any) -> "Made":
        """The same stages packed with other `[package]` values."""
        section = self.config.package.model_copy(update=changes)
        return replace(self, config=self.config.model_copy(update={"package": section}))

    def pack(self, out: Path, report: Silent | None = None) -> Path:
        """Runs the package stage; gives the bundle."""
        run_stage(package, self.config, self.inputs, out, report)
        return out / f"{self.config.name}.bundle"


def run_stage(
    stage: Any, config: Config, inputs: Mapping[str, Path], out: Path, report: Silent | None = None
) -> None:
    out.mkdir(parents=True)
    scratch = out.parent / f"{out.name} scratch"
    scratch.mkdir()
    stage.run(Job(config, inputs, out, scratch, report or Silent()))


def make_stages(project: Path) -> Made:
    """Everything that package reads: untrained weights, real exports, a real verdict."""
    made = Made(load_config(project), project / "work")
    made.inputs["train"].mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(build_model(made.config), made.inputs["train"] / WEIGHTS)
    run_stage(export, made.config, made.inputs, made.inputs["export"])
    made.inputs["quantize"].mkdir()
    write_index(made.inputs["quantize"], [])
    run_stage(verify, made.config, made.inputs, made.inputs["verify"])
    made.inputs["bench"].mkdir()
    write_result(made.inputs["bench"] / "bench.json", BENCH)
    return made


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tiny project. Not to be changed; see `made`."""
    return make_stages(write_tiny(tmp_path_factory.mktemp("stages") / "tiny prøject"))


@pytest.fixture
def made(stages: Made, tmp_path: Path) -> Made:
    """A copy of the stages' folders, for a test to change."""
    shutil.copytree(stages.folder, tmp_path / "work")
    return replace(stages, folder=tmp_path / "work")


@pytest.fixture(scope="session")
def bundle(stages: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that is packed from `stages`. Not to be changed."""
    return stages.pack(tmp_path_factory.mktemp("packed") / "package")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


SEVERAL_CODE = """
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


class Rows(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        given = {"measured": rng.normal(size=5).astype(np.float32), "flag": np.int64(index % 2)}
        return given, np.float32(index)


def build_data():
    return {"train": Rows(), "validation": Rows()}


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, measured, flag):
        hidden = self.layer(measured)
        return {"sum": hidden.sum(1), "positive": hidden > flag[:, None]}


def build_model():
    return Several()
"""

SEVERAL_CONFIG = """
name = "several"
[model]
entry = "several.py:build_model"
[data]
entry = "several.py:build_data"
[package]
golden = 3
"""


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a model with two inputs and two outputs. Not to be changed."""
    project = tmp_path_factory.mktemp("several")
    (project / "several.py").write_text(SEVERAL_CODE)
    (project / "pipeline.toml").write_text(SEVERAL_CONFIG)
    return make_stages(project).pack(project / "package")
