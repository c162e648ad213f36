"""The C++ runner as a process that answers: the same bits as Python, and what its end leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.bundle import open_bundle
from pipeline.bundle.manifest import Artifact
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked, Runner, Runtime
from tests.command import children
from tests.conftest import Cli

GOLDEN = Path(__file__).parents[1] / "golden" / "bundle-v1"
BUNDLE = open_bundle(GOLDEN)
SIGNATURE = Signature(
    (TensorSpec("image", "uint8", (None, None, None, 1)),),
    (TensorSpec("probabilities", "float32", (None, 3)),),
)
PAIRS = {
    "onnx": ("onnxruntime", "cpp-onnxruntime"),
    "torchscript": ("torchscript", "cpp-libtorch"),
}


def opened(name: str, artifact: Artifact, threads: int = 1) -> Runner:
    asked = Asked(SIGNATURE, threads, artifact.made_for)
    return RUNTIMES[name].open(GOLDEN / artifact.file, asked)


@pytest.mark.locked_torch
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("artifact", BUNDLE.manifest.artifacts, ids=lambda one: one.id)
def test_the_same_bits_as_in_python(artifact: Artifact, threads: int) -> None:
    rng = np.random.default_rng(1)
    ours, theirs = (opened(name, artifact, threads) for name in PAIRS[artifact.format])
    try:
        for shape in ((1, 8, 8, 1), (2, 8, 8, 1), (7, 8, 8, 1), (1, 13, 5, 1)):
            picture = rng.integers(0, 256, shape, dtype=np.uint8)
            (here,), (there,) = (runner.run([picture.copy()]) for runner in (ours, theirs))
            assert there.dtype == here.dtype
            assert there.shape == here.shape
            assert there.tobytes() == here.tobytes()
    finally:
        ours.close()
        theirs.close()


@pytest.fixture(params=["cpp-libtorch", "cpp-onnxruntime"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return RUNTIMES[request.param]


def first(format: str) -> Artifact:
    return next(one for one in BUNDLE.manifest.artifacts if one.format == format)


def test_a_program_that_was_killed_is_said_and_leaves_nothing(runtime: Runtime) -> None:
    before = children()
    runner = opened(runtime.name, first(runtime.format))
    (process,) = children() - before
    process.send_signal(signal.SIGKILL)
    picture = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(RuntimeError, match=r"^edge-runner was ended by SIGKILL$"):
        runner.run([picture])
    runner.close()
    assert children() <= before
    runner.close()  # again, without harm
    with pytest.raises(RuntimeError, match="closed"):
        runner.run([picture])


CHILD = """
import sys, time
from tests.runner.test_runner_process import opened, first
runner = opened("cpp-onnxruntime", first("onnx"))
print(runner._process.pid, flush=True)
time.sleep(60)
"""


def test_no_program_outlives_the_one_that_asks() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        program = psutil.Process(int(parent.stdout.readline()))
        assert program.name() == "edge-runner"
        parent.kill()
    assert not psutil.wait_procs([program], timeout=10)[1]


def test_path_is_what_starts_it(cli: Cli) -> None:
    done = cli("runner", "path")
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [done.stdout.strip(), "info", GOLDEN], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0
    assert BUNDLE.manifest.name in said.stdout


def test_what_a_build_lacks_is_named_with_its_remedy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "runner", "build"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 3
    for word in ("cmake", "ninja-build", "g++", "is missing", "apt-get"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_info_loads_no_backend(cli: Cli) -> None:
    program = cli("runner", "path").stdout.strip()
    done = subprocess.run(
        [program, "info", GOLDEN],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "LD_DEBUG": "files"},
    )
    assert done.returncode == 0
    assert "libedge_runner" in done.stderr
    assert "libtorch" not in done.stderr
    assert "libonnxruntime" not in done.stderr
