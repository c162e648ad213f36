"""Models that start from a TorchScript or ONNX file."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from pipeline.errors import DamagedError, PipelineError, UsageError
from tests.export.conftest import IMAGE, export

CLASSES = {"kind": "classification"}
PIXELS = (3, 16, 20)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    ).eval()


class Two(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a + b, (a * b).sum(1, keepdim=True)


def save_script(module: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(path))


def save_onnx(module: nn.Module, path: Path, inputs: Any, names: list[str], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, str(path), dynamo=False, input_names=names, **options)


def test_a_torchscript_file_of_pictures(folder: Path) -> None:
    save_script(net(), folder / "net.pt")
    result = export(folder, {"torchscript": "net.pt"}, input=IMAGE, output=CLASSES)
    assert result.artifacts["torchscript"].details["capture"] == "file"
    assert result.artifacts["onnx"].details["exporter"] == "legacy"
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 20, 3), (7, 40, 9, 3)):
        result.assert_same(rng.integers(0, 256, shape, dtype=np.uint8))


def test_a_torchscript_file_names_its_inputs(folder: Path) -> None:
    save_script(Two(), folder / "two.pt")
    data = {"entry": "models.py:rows"}
    result = export(folder, {"torchscript": "two.pt"}, data=data)
    assert [spec.name for spec in result.signature.inputs] == ["a", "b"]
    result.assert_same(np.ones((3, 4), np.float32), np.ones((3, 1), np.float32))


@pytest.mark.parametrize("opset", [13, 18, 20])
def test_an_onnx_file_of_pictures_of_any_opset(folder: Path, opset: int) -> None:
    """The preprocessing is put before it; TorchScript is left out, and said to be."""
    save_onnx(
        net(),
        folder / "net.onnx",
        (torch.zeros(1, *PIXELS),),
        ["image"],  # the name that the joined graph's own input has
        output_names=["scores"],
        dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}},
        opset_version=opset,
    )
    result = export(folder, {"onnx": "net.onnx"}, input=IMAGE, output=CLASSES)
    assert set(result.artifacts) == {"onnx"}
    assert any("TorchScript: left out" in note for note in result.report.notes)
    assert [spec.name for spec in result.signature.outputs] == ["scores"]
    assert result.signature.inputs[0].shape == (None, None, None, 3)
    assert result.artifacts["onnx"].version == max(opset, 18)
    answers = result.run("onnx", np.full((2, 9, 9, 3), 200, np.uint8))
    np.testing.assert_allclose(answers[0].sum(1), 1, atol=1e-6)
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 20, 3), (7, 40, 9, 3)):
        result.assert_same(rng.integers(0, 256, shape, dtype=np.uint8))


def test_a_fixed_batch_stays_fixed_and_is_told(folder: Path) -> None:
    save_onnx(net(), folder / "net.onnx", (torch.zeros(1, *PIXELS),), ["pixels"])
    result = export(folder, {"onnx": "net.onnx"}, input=IMAGE)
    assert result.signature.inputs[0].shape == (1, None, None, 3)
    assert any("takes batches of 1 alone" in text for text in result.report.warnings)
    result.assert_same(np.full((1, 30, 9, 3), 200, np.uint8))


def test_external_data_comes_inside(folder: Path) -> None:
    save_onnx(net(), folder / "inside.onnx", (torch.zeros(1, *PIXELS),), ["pixels"])
    onnx.save(
        onnx.load(folder / "inside.onnx"),
        folder / "net.onnx",
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    result = export(folder, {"onnx": "net.onnx"}, input=IMAGE)
    (folder / "net.data").unlink()
    model = onnx.load(result.path("onnx"))
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def two_inputs(folder: Path) -> None:
    save_onnx(
        Two(),
        folder / "two.onnx",
        (torch.ones(2, 3), torch.ones(2, 3)),
        ["a", "b"],
        output_names=["sum", "product"],
        dynamic_axes={"a": {0: "N", 1: "K"}, "b": {0: "N", 1: "K"}},
    )


def test_tensors_with_an_activation_and_names_of_the_users(folder: Path) -> None:
    two_inputs(folder)
    shapes = {"shapes": {"a": ["batch", "k"], "b": ["batch", "k"]}}
    output = {"activation": "sigmoid", "names": ["likely", "product"]}
    result = export(folder, {"onnx": "two.onnx"}, input=shapes, output=output)
    graph = onnx.load(result.path("onnx")).graph
    assert [value.name for value in graph.output] == ["likely", "product"]
    dims = [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", "k"]
    result.assert_same(np.ones((4, 6), np.float32), np.ones((4, 6), np.float32))


def test_the_files_inputs_must_be_named(folder: Path) -> None:
    two_inputs(folder)
    shapes = {"shapes": {"x": ["batch", "k"], "b": ["batch", "k"]}}
    with pytest.raises(UsageError, match=r"two\.onnx has the inputs a, b"):
        export(folder, {"onnx": "two.onnx"}, input=shapes)


def test_a_wrong_element_type_is_told(folder: Path) -> None:
    two_inputs(folder)
    shapes = {"shapes": {"a": ["batch", "k"], "b": ["batch", "k"]}, "dtypes": {"a": "int64"}}
    with pytest.raises(UsageError, match=r"two\.onnx cannot run on this input.*int64") as caught:
        export(folder, {"onnx": "two.onnx"}, input=shapes)
    assert "ONNXRuntimeError" not in caught.value.message


@pytest.mark.parametrize(("key", "error"), [("onnx", UsageError), ("torchscript", DamagedError)])
def test_a_damaged_file_is_told(folder: Path, key: str, error: type[PipelineError]) -> None:
    folder.mkdir(parents=True)
    (folder / "bad.bin").write_bytes(b"not a model")
    with pytest.raises(error, match=r"bad\.bin"):
        export(folder, {key: "bad.bin"}, input=IMAGE)
    assert "bad" not in sys.modules


def streaming(path: Path) -> None:
    """A voice detector's signature: a chunk, a state whose batch is its second axis, a rate."""
    make = helper.make_tensor_value_info
    inputs = [
        make("chunk", TensorProto.FLOAT, ["N", "samples"]),
        make("state", TensorProto.FLOAT, [2, "N", 4]),
        make("rate", TensorProto.INT64, []),
    ]
    outputs = [
        make("speech", TensorProto.FLOAT, ["N", 1]),
        make("state_after", TensorProto.FLOAT, [2, "N", 4]),
    ]
    nodes = [
        helper.make_node("Cast", ["rate"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["chunk"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Div", ["mean", "real"], ["speech"]),
        helper.make_node("Add", ["state", "mean"], ["state_after"]),
    ]
    graph = helper.make_graph(nodes, "stream", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def test_the_file_says_which_inputs_it_has(folder: Path) -> None:
    folder.mkdir()
    streaming(folder / "vad.onnx")
    rates = {"rate": {"values": {"one_of": [8000, 16000]}}}
    with pytest.raises(UsageError, match="two ways"):
        export(folder, {"onnx": "vad.onnx"}, input={"kind": "image"}, inputs=rates)
    tables = {"chunk": {}, "state": {}, **rates}
    result = export(folder, {"onnx": "vad.onnx"}, inputs=tables)
    found = [(str(spec), spec.batch_axis) for spec in result.signature.inputs]
    assert found == [
        ("chunk: float32[?, ?]", 0),
        ("state: float32[2, ?, 4]", 1),
        ("rate: int64[]", None),
    ]
    assert [spec.batch_axis for spec in result.signature.outputs] == [0, 1]
    given = np.ones((3, 9), np.float32), np.ones((2, 3, 4), np.float32), np.array(8000)
    result.assert_same(*given)


def test_a_file_alone_is_enough(folder: Path) -> None:
    folder.mkdir()
    make = helper.make_tensor_value_info
    ends = [make("x", TensorProto.FLOAT, [None, 3]), make("y", TensorProto.FLOAT, [None, 3])]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, folder / "relu.onnx")
    result = export(folder, {"onnx": "relu.onnx"})
    assert str(result.signature.inputs[0]) == "x: float32[?, 3]"
