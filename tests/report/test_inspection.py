"""`pipeline inspect` on every kind of file and folder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import DamagedError, UsageError
from pipeline.formats.facts import Port
from pipeline.report.inspection import InspectedBundle, InspectedModel, InspectedWeights, inspect

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
Cli = Callable[..., CompletedProcess[str]]
GOLDEN = Path(__file__).parents[1] / "golden" / "bundle-v1"


def save_onnx(path: Path, dtype: type, operator: str = "MatMul") -> Path:
    """One product with a stored weight of an element type."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ports = [
        helper.make_tensor_value_info(name, code, ["batch", 3])
        for name, code in (("x", kind), ("y", TensorProto.INT32 if dtype is np.int8 else kind))
    ]
    weight = numpy_helper.from_array(np.ones((3, 3), dtype), "w")
    node = helper.make_node(operator, ["x", "w"], ["y"])
    graph = helper.make_graph([node], "graph", ports[:1], ports[1:], [weight])
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("dtype", "operator", "precision"),
    [
        (np.float32, "MatMul", "fp32"),
        (np.float16, "MatMul", "fp16"),
        (np.int8, "MatMulInteger", "int8"),
    ],
)
def test_an_onnx_file(tmp_path: Path, dtype: type, operator: str, precision: str) -> None:
    path = save_onnx(tmp_path / "a model.onnx", dtype, operator)
    found = inspect(path)
    assert isinstance(found, InspectedModel)
    assert (found.format, found.precision, found.version) == ("onnx", precision, 18)
    assert found.bytes == path.stat().st_size
    assert found.operators == {operator: 1}
    assert found.inputs[0].shape == ("batch", 3)
    assert found.layers[0].name == "w"


def test_a_torchscript_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU())).save(str(path))
    found = inspect(path)
    assert isinstance(found, InspectedModel)
    assert (found.format, found.precision) == ("torchscript", "fp32")
    assert found.inputs == (Port("input", None, None),)
    assert found.weight_bytes == {"float32": 4 * (6 + 2)}


@pytest.mark.parametrize("name", ["weights.pt", "weights.pth", "weights.safetensors"])
def test_weights(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    state = {"large": torch.zeros(4, 5), "small": torch.zeros(3, dtype=torch.int64)}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    found = inspect(path)
    assert isinstance(found, InspectedWeights)
    assert found.format == ("safetensors" if path.suffix == ".safetensors" else "state dict")
    assert found.weight_bytes == {"float32": 80, "int64": 24}
    assert [layer.name for layer in found.layers] == ["large", "small"]


def test_a_bundle() -> None:
    found = inspect(GOLDEN)
    assert isinstance(found, InspectedBundle)
    manifest = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    assert found.name == manifest["name"]
    assert set(found.artifacts) == {artifact["id"] for artifact in manifest["artifacts"]}
    assert found.golden_samples == len(manifest["golden"])


def test_a_changed_bundle_is_damaged(tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(GOLDEN, copy)
    (copy / "README.md").write_text("changed")
    with pytest.raises(DamagedError, match=r"README\.md"):
        inspect(copy)


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "model.pth", "model.safetensors"])
def test_a_damaged_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x00\x01 not a model")
    with pytest.raises(DamagedError, match=name):
        inspect(path)


def test_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path, said in (
        (tmp_path / "notes.txt", r"notes\.txt is a file \(\.txt\)"),
        (tmp_path, "neither a bundle nor a workspace"),
        (tmp_path / "nothing.onnx", "There is no"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            inspect(path)
        assert "workspaces such as" in str(caught.value.hint)


def test_the_command_shows_a_workspace_and_a_file(tiny: Path, cli: Cli) -> None:
    """Trained for nothing, exported; then a byte is changed."""
    made = cli("export", "-c", tiny, "--set", "train.epochs=0")
    assert made.returncode == 0, made.stderr
    workspace = tiny / "runs" / "tiny"
    shown = cli("inspect", workspace, "--json")
    found = json.loads(shown.stdout)
    assert set(found["stages"]) == {"train", "export"}
    assert set(found["artifacts"]) == {"onnx-fp32", "torchscript-fp32"}
    file = workspace / "export" / "model.fp32.onnx"
    plain = cli("inspect", file).stdout
    assert "Conv" in plain and "float32" in plain
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    broken = cli("inspect", workspace)
    assert broken.returncode == 4
    assert "model.fp32.onnx" in broken.stderr
