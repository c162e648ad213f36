"""A tiny workspace with a packed bundle, once; each test that changes it has a copy."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.workspace.artifacts import read_index, read_json
from tests.conftest import Cli, write_tiny
from tests.devices.android.scripted import Script

QUICK = [("epochs = 6", "epochs = 3"), ("batch_sizes = [1, 4]", "batch_sizes = [1]")]
# The rows of the C++ runner have tests of their own.
PYTHON = '[verify]\nruntimes = ["onnxruntime", "torchscript"]\nsamples = 64\n[bench]\n'
BENCH = '[bench]\nruntimes = ["onnxruntime"]\n'
FAST = (*QUICK, (BENCH, PYTHON + 'runtimes = ["onnxruntime", "torchscript"]\n'))


@dataclass(frozen=True)
class Project:
    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "runs" / "tiny"

    @property
    def bundle(self) -> Path:
        return self.workspace / "package" / "tiny.bundle"

    def json(self, file: str) -> Any:
        return read_json(self.workspace / file)

    def artifacts(self, format: str) -> list[Any]:
        folders = [self.workspace / stage for stage in ("export", "quantize")]
        return [one for folder in folders for one in read_index(folder) if one.format == format]


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Project:
    folder = write_tiny(tmp_path_factory.mktemp("packed") / "tiny", FAST)
    done = cli("run", "-c", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return Project(folder)


@pytest.fixture
def project(packed: Project, tmp_path: Path) -> Project:
    shutil.copytree(packed.folder, tmp_path / "tiny")
    return Project(tmp_path / "tiny")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)
