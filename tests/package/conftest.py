"""Stage folders to pack: real ones, made once by the stages themselves on the tiny project."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import export, package, verify
from pipeline.artifacts import read_json, write_index, write_json
from pipeline.config import Config, load_config
from pipeline.progress import Silent
from pipeline.project import build_model
from pipeline.stage import Job
from pipeline.weights import WEIGHTS, save_weights
from tests.conftest import write_tiny

BENCH = {
    "machine": {"cpu": "A processor", "cores": 2, "os": "A system"},
    "rows": [
        {
            "artifact": "onnx-fp32", "runtime": "onnxruntime", "threads": 1, "load_ms": 4.0,
            "first_ms": 1.5, "runs": 64, "p50_ms": 1.0, "p90_ms": 1.25, "p99_ms": 2.0,
            "latencies_ms": [1.0], "throughput": {"1": 1000.0, "8": 4000.0},
            "peak_bytes": 90_000_000, "file_bytes": 1000, "error": None,
        },
        {
            "artifact": "torchscript-fp32", "runtime": "torchscript", "threads": 1,
            "load_ms": None, "first_ms": None, "runs": 0, "p50_ms": None, "p90_ms": None,
            "p99_ms": None, "latencies_ms": [], "throughput": {}, "peak_bytes": None,
            "file_bytes": 1000, "error": "it ended with signal 6",
        },
    ],
}  # fmt: skip


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


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Not to be changed; see `made`."""
    project = write_tiny(tmp_path_factory.mktemp("stages") / "tiny prøject")
    made = Made(load_config(project), project / "work")
    made.inputs["train"].mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(build_model(made.config), made.inputs["train"] / WEIGHTS)
    run_stage(export, made.config, made.inputs, made.inputs["export"])
    made.inputs["quantize"].mkdir()
    write_index(made.inputs["quantize"], [])
    run_stage(verify, made.config, made.inputs, made.inputs["verify"])
    made.inputs["bench"].mkdir()
    write_json(made.inputs["bench"] / "bench.json", BENCH)
    return made


@pytest.fixture
def made(stages: Made, tmp_path: Path) -> Made:
    """A copy of the stages' folders, for a test to change."""
    shutil.copytree(stages.folder, tmp_path / "work")
    return replace(stages, folder=tmp_path / "work")


@pytest.fixture(scope="session")
def bundle(stages: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that is packed from `stages`. Not to be changed."""
    return stages.pack(tmp_path_factory.mktemp("packed") / "package")
