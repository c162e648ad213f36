"""ONNX files: cleaned, shared weights, refused where damaged."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from pipeline.errors import DamagedError, UsageError
from pipeline.formats.onnx.clean import clean_onnx
from pipeline.formats.onnx.load import load_onnx
from pipeline.formats.onnx.write import check_onnx, onnx_bytes


def model() -> ModelProto:
    """x → MatMul(w) → MatMul(w turned) → Add(copy) → Add(copy again), with a chatty maker."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(64, 96)).astype(np.float32)
    bias = rng.normal(size=64).astype(np.float32)
    tensors = {"w": weight, "t": np.ascontiguousarray(weight.T), "b": bias, "c": bias.copy()}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "one"),
        helper.make_node("MatMul", ["h", "t"], ["i"], "two"),
        helper.make_node("Add", ["i", "b"], ["j"], "three"),
        helper.make_node("Add", ["j", "c"], ["y"], "four"),
    ]
    for node in nodes:
        node.doc_string = "/home/someone/model.py"
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone/model.py")
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'layer']")
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    made.producer_name, made.doc_string = "someone", "/home/someone"
    made.metadata_props.add(key="host", value="someone")
    return made


def test_cleaning_keeps_the_answers_and_nothing_of_the_maker() -> None:
    before, after = model(), model()
    clean_onnx(after)
    data = after.SerializeToString()
    assert b"someone" not in data
    assert b"['', 'layer']" in data
    x = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    one, other = (
        ort.InferenceSession(m.SerializeToString()).run(None, {"x": x})[0] for m in (before, after)
    )
    np.testing.assert_array_equal(one, other)


def test_equal_and_turned_weights_are_stored_once() -> None:
    cleaned = model()
    data = onnx_bytes(cleaned, "model.onnx")
    assert [tensor.name for tensor in cleaned.graph.initializer] == ["w", "b"]
    assert len(data) < 1.1 * 4 * (64 * 96 + 64) + 1000
    assert onnx_bytes(model(), "model.onnx") == data


def test_cleaning_twice_changes_nothing() -> None:
    once = onnx_bytes(model(), "model.onnx")
    assert onnx_bytes(onnx.load_from_string(once), "model.onnx") == once


def test_a_graph_outside_the_standard_is_refused_by_name() -> None:
    wrong = model()
    wrong.graph.node[0].op_type = "Mutmal"
    with pytest.raises(UsageError, match=r"model\.onnx fails the ONNX checker.*Mutmal"):
        check_onnx(wrong, "model.onnx")


def test_shapes_are_checked() -> None:
    wrong = model()
    wrong.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 65
    with pytest.raises(UsageError, match="fails the ONNX checker"):
        check_onnx(wrong, "model.onnx")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(DamagedError, match=r"bad\.onnx"):
        load_onnx(path)
