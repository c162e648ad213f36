"""`pipeline bench --compare`: two runs measured against each other, in turns."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Cli, write_tiny

pytestmark = pytest.mark.slow

QUICK = """
[export]
formats = ["onnx"]
[bench]
runtimes = ["onnxruntime"]
seconds = 1.0
"""
WIDE = ("--set", "model.args={ width = 256 }", "--set", "train.epochs=0")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """A project with two runs of the same files, `before` and its own, and a wider one."""
    folder = write_tiny(
        tmp_path_factory.mktemp("two") / "tiny",
        [
            ("epochs = 6", "epochs = 1"),
            ('recipes = ["int8-static"]', "recipes = []"),
            ('[bench]\nruntimes = ["onnxruntime"]\nseconds = 0.05\n', QUICK),
        ],
    )
    for more in ((), (*WIDE, "--workspace", folder / "runs" / "wide")):
        done = cli("quantize", "-c", folder, *more)
        assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "runs" / "tiny", folder / "runs" / "before")
    return folder


def test_the_same_files_are_no_regression(two: Path, cli: Cli) -> None:
    done = cli("bench", "-c", two, "--compare", "before", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["same_file"]
    assert row["tells"] in ("same", "can't tell")
    assert not (two / "runs" / "tiny" / "bench").exists()  # nothing is kept


def test_a_wider_model_is_a_regression(two: Path, cli: Cli) -> None:
    """On a busy machine as well: it is several times as slow."""
    done = cli("bench", "-c", two, *WIDE, "--workspace", two / "runs" / "wide",
               "--compare", two / "runs" / "before", "--json")  # fmt: skip
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["ratio"]["low"] > 1.02
    assert row["tells"] == "slower"
    assert "onnx-fp32 in onnxruntime" in done.stderr


def test_the_other_way_round_it_is_faster(two: Path, cli: Cli) -> None:
    done = cli("bench", "-c", two, "--compare", "wide", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["ratio"]["high"] < 0.98
    assert row["tells"] == "faster"


def test_what_cannot_be_compared(two: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("bench", "-c", two, "--compare", "nothing")
    assert done.returncode == 2
    assert "There is no run or bundle nothing" in done.stderr
    done = cli("bench", "-c", two, "--compare", tmp_path)
    assert done.returncode == 2
    assert "neither a workspace nor a bundle" in done.stderr
