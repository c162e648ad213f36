"""What a file holds is read from the file, and nothing in it is run."""

import io
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline.config.export import Format
from pipeline.errors import DamagedError
from pipeline.formats.read_back import read_back

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


def save_onnx(path: Path) -> Path:
    """x[batch, 3] → If(flag: Relu else x + constant) → MatMul of float16, with an op of ORT's."""
    known = [numpy_helper.from_array(np.ones((3, 2), np.float16), "w")]
    constant = numpy_helper.from_array(np.ones(5, np.int8), "c")
    branch = [
        helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "then", [], [value("a", 3)]),
        helper.make_graph([helper.make_node("Neg", ["x"], ["b"])], "else", [], [value("b", 3)]),
    ]
    nodes = [
        helper.make_node("Constant", [], ["unused"], value=constant),
        helper.make_node("If", ["flag"], ["h"], then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Cast", ["h"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["half", "w"], ["m"]),
        helper.make_node("Gelu", ["m"], ["y"], domain="com.microsoft"),
    ]
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["batch", 2])
    graph = helper.make_graph(nodes, "graph", [value("x", 3), flag], [y], known)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="someone")
    onnx.save(model, path)
    return path


def value(name: str, width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])


def test_the_facts_of_an_onnx_file(tmp_path: Path) -> None:
    facts = read_back(save_onnx(tmp_path / "model.onnx"), "onnx")
    assert facts.operators == {
        **dict.fromkeys(("Cast", "Constant", "If", "MatMul", "Neg", "Relu"), 1),
        "com.microsoft.Gelu": 1,
    }
    assert facts.version == 18
    assert facts.weight_bytes == {"float16": 12, "int8": 5}
    assert [(layer.name, layer.shape, layer.bytes) for layer in facts.layers] == [
        ("w", (3, 2), 12),
        ("unused", (5,), 5),
    ]
    assert [(port.name, port.dtype, port.shape) for port in facts.inputs] == [
        ("x", "float32", ("batch", 3)),
        ("flag", "bool", ()),
    ]
    assert facts.outputs[0].dtype == "float16"
    assert facts.provenance["producer"] == "someone"
    assert facts.provenance["opsets"] == {"ai.onnx": 18, "com.microsoft": 1}


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.two.weight = self.one.weight
        self.register_buffer("steps", torch.zeros(3, dtype=torch.int64))

    def forward(self, x: torch.Tensor, flag: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if bool(flag.any()):
            x = torch.relu(self.one(x))
        return self.two(x), flag


def test_the_facts_of_a_torchscript_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.script(Tied()).save(str(path))
    facts = read_back(path, "torchscript")
    assert facts.operators["aten::linear"] == 2
    assert facts.operators["aten::relu"] == 1  # inside the branch
    assert not any(name.startswith("prim::") for name in facts.operators)
    assert facts.weight_bytes == {"float32": 8 * 8 * 4, "int64": 24}  # the tied weight once
    assert {layer.name for layer in facts.layers} == {"one.weight", "two.weight", "steps"}
    assert [port.name for port in facts.inputs] == ["x", "flag"]
    assert len(facts.outputs) == 2
    assert facts.version >= 3


def test_packed_int8_weights_are_int8(tmp_path: Path) -> None:
    from torch.ao.quantization import quantize_dynamic

    path = tmp_path / "model.pt"
    model = quantize_dynamic(nn.Sequential(nn.Linear(64, 32)).eval(), {nn.Linear}, torch.qint8)
    torch.jit.trace(model, torch.ones(1, 64)).save(str(path))
    facts = read_back(path, "torchscript")
    assert facts.operators["quantized::linear_dynamic"] == 1
    assert facts.weight_bytes["int8"] == 64 * 32
    assert facts.weight_bytes["float32"] < 64 * 32


def test_a_pickle_inside_is_data_and_is_not_run(tmp_path: Path) -> None:
    """An archive whose data.pkl would call os.system: unpickled by us, it calls nothing."""
    mark = tmp_path / "mark"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            import os

            return os.system, (f"touch {mark}",)

    path = tmp_path / "evil.pt"
    torch.jit.script(Tied()).save(str(path))
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, pickle.dumps(Evil()) if name.endswith("data.pkl") else data)
    with pytest.raises(DamagedError, match=r"evil\.pt"):
        read_back(path, "torchscript")
    assert not mark.exists()


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"PK\x03\x04 cut off", None])
def test_what_is_no_model_is_told_by_name(
    tmp_path: Path, format: Format, content: bytes | None
) -> None:
    path = tmp_path / "broken file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedError, match="broken file") as caught:
        read_back(path, format)
    assert caught.value.hint


def test_a_half_of_a_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.jit.script(Tied()).save(str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DamagedError):
            read_back(path, "torchscript")
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(1)}, buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DamagedError, match="not a readable TorchScript file"):
        read_back(path, "torchscript")
