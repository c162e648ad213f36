"""TorchScript for a phone: operators that torch 1.13.1 has, and files that it loads."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import open_bundle
from pipeline.formats.read_back import read_back
from pipeline.formats.torchscript.android_pytorch import called, known_operators, unknown
from tests.conftest import TINY_CODE, TINY_CONFIG, Cli
from tests.devices.android.conftest import Project

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden" / "bundle-v1"
OLD = "TORCH_1_13_PYTHON"

ATTENTION = """
class Attention(nn.Module):
    def forward(self, x):
        rows = x.flatten(1).unsqueeze(1)
        return nn.functional.scaled_dot_product_attention(rows, rows, rows).squeeze(1)[:, :2]


def build_model():
    return Attention()
"""


def test_the_list_is_of_that_release() -> None:
    assert len(known_operators()) > 1500
    assert {"aten::conv2d", "aten::_upsample_bilinear2d_aa", "quantized::conv2d_relu"} <= (
        known_operators()
    )
    # They came with 2.0 and 2.1.
    assert unknown({"aten::scaled_dot_product_attention": 1, "aten::relu": 2}) == [
        "aten::scaled_dot_product_attention"
    ]


def test_code_is_read_in_branches_that_are_never_taken() -> None:
    """The frozen bundle was written with a scripted F.interpolate, which has all of its modes: a
    loader compiles them all."""
    file = GOLDEN / "artifacts" / "model.fp32.pt"
    assert unknown(read_back(file, "torchscript").operators) == ["aten::_upsample_lanczos2d_aa"]
    assert unknown(called(file)) == ["aten::_upsample_lanczos2d_aa"]


def test_what_is_exported_today_uses_nothing_newer(packed: Project) -> None:
    for artifact in packed.artifacts("torchscript"):
        file = packed.bundle / "artifacts" / artifact.file
        assert len(called(file)) > 5
        assert unknown(called(file)) == []


@pytest.mark.parametrize("target", ["any", "android-pytorch"])
def test_export_refuses_what_a_phone_cannot_load(target: str, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "tiny.py").write_text(TINY_CODE.partition("def build_model")[0] + ATTENTION)
    config = TINY_CONFIG.replace("epochs = 6", "epochs = 0")
    (tmp_path / "pipeline.toml").write_text(
        config + f'[export]\nformats = ["torchscript"]\nfor = "{target}"\n'
    )
    done = cli("export", "-c", tmp_path)
    if target == "any":
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "model.fp32.pt uses aten::scaled_dot_product_attention" in said
    assert "PyTorch 1.13.1 for Android lacks" in said


def test_a_misspelt_target_is_refused(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "pipeline.toml").write_text(TINY_CONFIG + '[export]\nfor = "android"\n')
    done = cli("export", "-c", tmp_path)
    assert done.returncode == 2
    assert "export.for" in done.stderr


IN_THE_OLD_ONE = """
import json, sys, torch
assert torch.__version__.startswith("1.13.1"), torch.__version__
file, engine, data, shape = sys.argv[1:]
if engine != "any":
    torch.backends.quantized.engine = {"x86_64": "fbgemm", "arm64": "qnnpack"}[engine]
module = torch.jit.load(file)
numbers = torch.tensor(list(open(data, "rb").read()), dtype=torch.uint8)
print(json.dumps(module(numbers.reshape(json.loads(shape))).flatten().tolist()))
"""


@pytest.mark.skipif(OLD not in os.environ, reason=f"${OLD} names no Python with torch 1.13.1")
def test_the_release_itself_loads_them_and_answers_alike(packed: Project) -> None:
    bundle = open_bundle(packed.bundle)
    sample = bundle.manifest.golden[0]
    (given,), (wanted,) = sample.inputs, sample.outputs
    for artifact in bundle.manifest.artifacts:
        if artifact.format != "torchscript":
            continue
        done = subprocess.run(
            [
                *(os.environ[OLD], "-W", "ignore", "-c", IN_THE_OLD_ONE),
                *(bundle.path / artifact.file, artifact.made_for),
                *(bundle.path / given.file, json.dumps(given.shape)),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        answers = np.array(json.loads(done.stdout))
        allowed = 1e-4 if artifact.precision == "fp32" else 0.05
        assert np.abs(answers - bundle.array(wanted).flatten()).max() <= allowed
