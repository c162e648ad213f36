"""What an engineer does with the library: installs it, links to it, builds it with one backend."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.runner.headers import headers
from pipeline.runner.program import program
from pipeline.runner.sources import sources
from pipeline.system.progress import Silent

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "bundle-v1"


def run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.locked_torch
@pytest.mark.slow
def test_a_program_is_built_against_the_installed_library(tmp_path: Path) -> None:
    built, installed = program().parents[1], tmp_path / "an installation"
    run("cmake", "--install", built, "--prefix", installed)
    run(
        *("cmake", "-S", ROOT / "examples" / "cpp", "-B", tmp_path / "build", "-G", "Ninja"),
        *(f"-DCMAKE_PREFIX_PATH={installed}", "-DCMAKE_BUILD_TYPE=Debug"),
    )
    run("cmake", "--build", tmp_path / "build")
    consumer = tmp_path / "build" / "consumer"
    assert str(built) not in run("ldd", consumer)
    name, *scores = run(consumer, GOLDEN).split()
    assert name.startswith(("onnx-", "torchscript-"))
    assert np.sum([float(score) for score in scores]) == pytest.approx(1, abs=1e-4)
    found = json.loads(run(installed / "bin" / "edge-runner", "verify", GOLDEN, "--json"))
    assert found["verdict"] == "pass"


@pytest.mark.locked_torch
@pytest.mark.slow
@pytest.mark.parametrize(("off", "works"), [("LIBTORCH", "onnx"), ("ONNXRUNTIME", "torchscript")])
def test_one_backend_is_enough(off: str, works: str, tmp_path: Path) -> None:
    run(
        *("cmake", "-S", sources(), "-B", tmp_path, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"),
        *(f"-DEDGE_RUNNER_PYTHON={sys.executable}", f"-DEDGE_RUNNER_{off}=OFF"),
        f"-DONNXRUNTIME_HEADERS={headers(Silent())}",
    )
    run("cmake", "--build", tmp_path)
    assert not list(tmp_path.rglob(f"*edge_backend_{off.lower()}.so"))
    runner = tmp_path / "bin" / "edge-runner"
    found = json.loads(run(runner, "verify", GOLDEN, "--json"))
    for row in found["rows"]:
        assert row["verdict"] == ("pass" if row["format"] == works else "skipped")
    other = {"onnx": "torchscript-fp32", "torchscript": "onnx-fp32"}[works]
    refused = subprocess.run(
        [runner, "verify", GOLDEN, "--artifact", other], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 3
    assert "this build has no backend for" in refused.stderr
