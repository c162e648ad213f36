"""ONNX: dynamic axes, the named fallback, and graphs that carry nothing twice."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.errors import UsageError
from tests.export.conftest import IMAGE, ROWS, export

ONLY = {"formats": ["onnx"]}
CLASSES = {"kind": "classification"}


def axes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_pictures_of_any_size(folder: Path, fit: str, exporter: str) -> None:
    """The older exporter has no antialiased resize: its graph is joined behind one that has."""
    result = export(
        folder,
        "cnn",
        input={**IMAGE, "fit": fit},
        output=CLASSES,
        export={**ONLY, "exporter": exporter},
    )
    artifact = result.artifacts["onnx"]
    assert artifact.details["exporter"] == exporter
    assert artifact.version == 18
    assert artifact.operators["Resize"] == 1
    model = onnx.load(result.path("onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [axes(value) for value in model.graph.input] == [["batch", "height", "width", 3]]
    assert [axes(value) for value in model.graph.output] == [["batch", 5]]
    assert [value.name for value in model.graph.output] == ["probabilities"]
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 20, 3), (7, 40, 9, 3), (2, 9, 40, 3), (1, 1, 1, 3)):
        result.assert_same(rng.integers(0, 256, shape, dtype=np.uint8))


def test_a_branch_falls_back_to_the_older_exporter_by_name(folder: Path) -> None:
    result = export(folder, "branch", input=ROWS)
    assert result.artifacts["onnx"].details["exporter"] == "legacy"
    assert "If" in result.artifacts["onnx"].operators
    (warning,) = [text for text in result.report.warnings if "older exporter" in text]
    assert "models.py" in warning
    assert "if x.sum() > 0" in warning
    result.assert_same(np.ones((3, 4), np.float32))
    result.assert_same(-np.ones((3, 4), np.float32))


def test_no_fallback_where_an_exporter_is_wanted(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"torch\.export: .*models\.py:\d+: if x\.sum"):
        export(folder, "branch", input=ROWS, export={**ONLY, "exporter": "dynamo"})


def test_every_exporter_that_failed_is_named(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export(folder, "stubborn", input=ROWS, export=ONLY)
    assert "torch.export: " in caught.value.message
    assert "the older exporter: " in caught.value.message
    assert 'formats = ["torchscript"]' in (caught.value.hint or "")


def test_tokens_of_any_length_with_a_tied_head(folder: Path) -> None:
    """An embedding that is the head as well is stored once, though the head wants it turned."""
    result = export(
        folder,
        "tokens",
        input={"shapes": {"tokens": ["batch", "length"]}, "dtypes": {"tokens": "int64"}},
    )
    (spec,) = result.signature.inputs
    assert (spec.dtype, spec.shape) == ("int64", (None, None))
    assert result.signature.outputs[0].shape == (None, None, 200)
    model = onnx.load(result.path("onnx"))
    assert axes(model.graph.input[0]) == ["batch", "length"]
    assert sum(sorted(tensor.dims) == [32, 200] for tensor in model.graph.initializer) == 1
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 17), (7, 5)):
        result.assert_same(rng.integers(0, 200, shape))


def test_several_inputs_share_an_axis(folder: Path) -> None:
    model = {"entry": "models.py:several", "args": {"kind": "dict"}}
    shapes = {"shapes": {"x": ["n", 4], "mask": ["n", 1]}}
    result = export(folder, model, input=shapes, export=ONLY)
    graph = onnx.load(result.path("onnx")).graph
    assert [axes(value) for value in graph.input] == [["batch", 4], ["batch", 1]]
    assert [value.name for value in graph.output] == ["scores", "features"]
    result.assert_same(np.ones((5, 4), np.float32), np.full((5, 1), 2, np.float32))


def test_fixed_batch_and_size(folder: Path) -> None:
    result = export(
        folder,
        "cnn",
        input=IMAGE,
        export={"dynamic_batch": False, "dynamic_size": False},
    )
    assert result.signature.inputs[0].shape == (1, 16, 20, 3)
    assert result.signature.outputs[0].shape == (1, 5)
    assert axes(onnx.load(result.path("onnx")).graph.input[0]) == [1, 16, 20, 3]
    result.assert_same(np.full((1, 16, 20, 3), 9, np.uint8))


def test_the_opset_is_what_is_asked_for(folder: Path) -> None:
    result = export(folder, "cnn", input=IMAGE, export={**ONLY, "opset": 20})
    assert result.artifacts["onnx"].version == 20
    result.assert_same(np.full((2, 30, 20, 3), 9, np.uint8))


def test_nodes_keep_the_modules_that_they_come_from(folder: Path) -> None:
    result = export(folder, "cnn", input=IMAGE, export=ONLY)
    model = onnx.load(result.path("onnx"))
    keys = {entry.key for node in model.graph.node for entry in node.metadata_props}
    assert keys == {"pkg.torch.onnx.name_scopes"}
    (linear,) = [node for node in model.graph.node if node.op_type == "Gemm"]
    assert "'model.5'" in linear.metadata_props[0].value
    assert not model.producer_name
    assert not model.metadata_props
    assert not any(node.doc_string for node in model.graph.node)


def test_a_graph_that_an_exporter_prints_is_dropped(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The older one prints it from C++ before it raises."""
    free = {"shapes": {"x": ["batch", 3, "height", "width"]}}
    with pytest.raises(UsageError, match="adaptive_avg_pool2d"):
        export(folder, "pooled", input=free, export={**ONLY, "exporter": "legacy"})
    assert capfd.readouterr().out == ""
