"""`pipeline verify --drift` as people and programs use it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.conftest import Cli, write_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    folder = write_tiny(tmp_path_factory.mktemp("drift") / "a tiny")
    done = cli("quantize", "-c", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.locked_torch
def test_a_table_and_a_plot(quantized: Path, cli: Cli) -> None:
    done = cli("verify", "-c", quantized, "--drift", "onnx-int8-static")
    assert done.returncode == 0, done.stderr
    assert "No layer leaves the reference." in done.stdout
    folder = quantized / "runs" / "tiny" / "drift"
    found = json.loads((folder / "onnx-int8-static.json").read_text(encoding="utf-8"))
    assert found["first_bad"] is None
    paths = [layer["path"] for layer in found["layers"]]
    assert paths[0].startswith("pre")
    assert {"model.7", "post"} <= set(paths)
    for layer in found["layers"]:
        assert layer["name"] in done.stdout
    root = ET.parse(folder / "onnx-int8-static.svg").getroot()
    assert root.tag.endswith("svg")
    assert len(list(root.iter())) > 50


def test_for_machines(quantized: Path, cli: Cli) -> None:
    done = cli("verify", "-c", quantized, "--drift", "torchscript-int8-static", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["artifact"], found["against"]) == ("torchscript-int8-static", "eager")


def test_a_good_and_a_bad_one(quantized: Path, cli: Cli) -> None:
    done = cli(
        "verify", "-c", quantized, "--drift", "onnx-int8-static", "--good", "onnx-fp32", "--json"
    )
    assert done.returncode == 0, done.stderr
    mended = json.loads(done.stdout)["mended"]
    assert mended[0]["layers"] == []
    assert len(mended) > 1
    assert mended[-1]["sqnr_db"] is None or mended[-1]["sqnr_db"] > mended[0]["sqnr_db"]


def test_a_name_that_does_not_exist(quantized: Path, cli: Cli) -> None:
    done = cli("verify", "-c", quantized, "--drift", "onnx-int4")
    assert done.returncode == 2
    assert "onnx-int8-static" in done.stderr
    assert "Traceback" not in done.stderr
