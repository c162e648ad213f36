"""Architectures by their name alone, from the command line: random weights, export, verify."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

CONFIG = """
name = "zoo"
[model]
entry = "{entry}"
args = {{ num_classes = 10 }}
[input]
kind = "image"
size = [64, 64]
[output]
kind = "classification"
[train]
epochs = 0
[quantize]
recipes = ["{recipe}"]
gate = false
calibration_samples = 16
batch_size = 8
[verify]
samples = 16
batch_size = 8
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "recipe"),
    [
        ("torchvision:squeezenet1_1", "fp16"),
        pytest.param("timm:ghostnet_050", "int8-dynamic", marks=pytest.mark.full),
        pytest.param("timm:pvt_v2_b0", "int8-dynamic", marks=pytest.mark.full),
    ],
)
def test_a_name_is_enough(
    tmp_path: Path, cli: Callable[..., CompletedProcess[str]], entry: str, recipe: str
) -> None:
    (tmp_path / "pipeline.toml").write_text(CONFIG.format(entry=entry, recipe=recipe))
    done = cli("verify", "-c", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"
    verdict = json.loads((tmp_path / "runs/zoo/verify/verdict.json").read_text())
    rows = {row["artifact"]: row for row in verdict["rows"]}
    assert {"onnx-fp32", "torchscript-fp32", f"onnx-{recipe}"} <= set(rows)
    assert all(row["max_abs"] < 1e-4 for id, row in rows.items() if id.endswith("fp32"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [("timm:resnet81", "resnet18"), ("torchvision:mobilenet_v33", "mobilenet_v3")],
)
def test_a_name_that_is_none_brings_near_ones(
    tmp_path: Path, cli: Callable[..., CompletedProcess[str]], entry: str, said: str
) -> None:
    (tmp_path / "pipeline.toml").write_text(CONFIG.format(entry=entry, recipe="fp16"))
    done = cli("export", "-c", tmp_path)
    assert done.returncode == 2
    assert f"no model '{entry.partition(':')[2]}'" in done.stderr
    assert said in done.stderr
