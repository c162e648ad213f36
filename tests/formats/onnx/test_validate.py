"""What the runners of a bundle take of an ONNX file: Python knows it before they are asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from pipeline.errors import UsageError
from pipeline.formats.onnx.clean import clean_onnx, inlined
from pipeline.formats.onnx.validate import refusal
from pipeline.formats.onnx.write import check_onnx, onnx_bytes
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked

RUNNER = RUNTIMES["cpp-onnxruntime"]
SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 4)),), (TensorSpec("y", "float32", (None, 4)),)
)
Change = Callable[[ModelProto], None]


def model() -> ModelProto:
    """x → Relu → y, [batch, 4]."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("x", "y")
    )
    node = helper.make_node("Relu", ["x"], ["y"], "relu")
    graph = helper.make_graph([node], "graph", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def imports(*entries: tuple[str, int]) -> Change:
    return lambda model: model.opset_import.extend(helper.make_opsetid(*e) for e in entries)


def size_of_minus_one(model: ModelProto) -> None:
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = -1


def training(model: ModelProto) -> None:
    model.training_info.add().algorithm.name = "step"


def unknown_field(model: ModelProto) -> None:
    model.MergeFromString(b"\xa2\x06\x01x")  # field 100, as a newer release may write it


def operator(kind: str, domain: str) -> Change:
    def change(model: ModelProto) -> None:
        model.graph.node[0].op_type, model.graph.node[0].domain = kind, domain
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, 1))

    return change


def function(model: ModelProto) -> None:
    twice = helper.make_function(
        "own",
        "Positive",
        ["a"],
        ["b"],
        [helper.make_node("Relu", ["a"], ["b"])],
        [helper.make_opsetid("", 18)],
    )
    model.functions.append(twice)
    operator("Positive", "own")(model)


def sparse(model: ModelProto) -> None:
    value = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    at = helper.make_tensor("at", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(value, at, [4]))


def no_standard(model: ModelProto) -> None:
    del model.opset_import[:]
    operator("Gelu", "com.microsoft")(model)


MENDED: dict[str, Change] = {
    "twice": imports(("", 18)),
    "twice, spelt otherwise": imports(("ai.onnx", 18)),
    "unknown but unused": imports(("org.example", 1)),
    "an axis of -1": size_of_minus_one,
    "the long spelling": lambda model: setattr(model.graph.node[0], "domain", "ai.onnx"),
    "training": training,
    "an unknown field": unknown_field,
}
REFUSED: dict[str, tuple[Change, str]] = {
    "two versions": (imports(("", 19)), "imports the domain 'ai.onnx' twice"),
    "an unknown domain": (operator("Relu", "org.example"), "of the domain 'org.example'"),
    "another of ONNX's": (operator("Scaler", "ai.onnx.ml"), "of the domain 'ai.onnx.ml'"),
    "one that may do more": (operator("EPContext", "com.microsoft"), "'EPContext'"),
    "a function": (function, "functions of its own, 'Positive'"),
    "sparse weights": (sparse, "sparse weights"),
    "no standard operators": (no_standard, "no version of the standard operators"),
}


def changed(change: Change) -> ModelProto:
    made = model()
    change(made)
    return made


def runner_says(data: bytes, folder: Path) -> str:
    """Nothing where the C++ runner opens the file, else what it refuses it for."""
    lack = RUNNER.why_not()
    if lack:
        pytest.skip(lack)
    path = folder / "model.onnx"
    path.write_bytes(data)
    try:
        runner = RUNNER.open(path, Asked(SIGNATURE, 1))
    except RuntimeError as error:
        return str(error)
    try:
        (answer,) = runner.run([np.array([[-1, 0, 1, 2]], np.float32)])
    finally:
        runner.close()
    np.testing.assert_array_equal(answer, np.array([[0, 0, 1, 2]], np.float32))
    return ""


@pytest.mark.parametrize("what", MENDED)
def test_what_need_not_be_said_is_left_out(what: str, tmp_path: Path) -> None:
    made = changed(MENDED[what])
    before = made.SerializeToString()
    data = onnx_bytes(made, "model.onnx")
    assert refusal(onnx.load_from_string(data)) is None
    if what != "the long spelling":
        assert "unsafe-model" in runner_says(before, tmp_path)
    assert runner_says(data, tmp_path) == ""


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_runner_refuses_python_refuses_too(what: str, tmp_path: Path) -> None:
    change, said = REFUSED[what]
    made = changed(change)
    found = refusal(made)
    assert found is not None
    assert said in found
    assert "unsafe-model" in runner_says(made.SerializeToString(), tmp_path)


def test_a_file_with_two_imports_is_never_written() -> None:
    made = changed(imports(("", 18)))
    with pytest.raises(UsageError, match=r"model\.onnx .*imports the domain 'ai\.onnx' twice"):
        check_onnx(made, "model.onnx")
    with pytest.raises(UsageError, match=r"model\.onnx .*imports the domain 'ai\.onnx' twice"):
        onnx_bytes(changed(imports(("", 19))), "model.onnx")


def test_functions_are_written_out(tmp_path: Path) -> None:
    made = inlined(changed(function))
    clean_onnx(made)
    assert [node.op_type for node in made.graph.node] == ["Relu"]
    assert runner_says(onnx_bytes(made, "model.onnx"), tmp_path) == ""
