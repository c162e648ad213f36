"""TorchScript: what a trace gets wrong is found, and scripted or explained."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import UsageError
from tests.export.conftest import IMAGE, ROWS, export

ONLY = {"formats": ["torchscript"]}


def test_a_branch_on_the_input_is_scripted_and_right_on_both_sides(folder: Path) -> None:
    result = export(folder, "branch", input=ROWS, export=ONLY)
    assert result.artifacts["torchscript"].details["capture"] == "script"
    (note,) = [note for note in result.report.notes if "scripted, because" in note]
    assert "if x.sum() > 0" in note
    x = np.ones((3, 4), np.float32)
    result.assert_same(x)
    result.assert_same(-x)


def test_a_wrong_trace_is_refused_where_only_a_trace_is_wanted(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"models\.py:\d+: if x\.sum\(\) > 0") as caught:
        export(folder, "branch", input=ROWS, export={**ONLY, "capture": "trace"})
    assert 'capture = "auto"' in (caught.value.hint or "")


def test_script_is_taken_where_wanted(folder: Path) -> None:
    result = export(folder, "cnn", input=IMAGE, export={**ONLY, "capture": "script"})
    assert result.artifacts["torchscript"].details["capture"] == "script"
    assert not [note for note in result.report.notes if "scripted, because" in note]
    result.assert_same(np.arange(2 * 9 * 7 * 3, dtype=np.uint8).reshape(2, 9, 7, 3))


def test_a_baked_in_size_is_named_with_its_line(folder: Path) -> None:
    shapes = {"shapes": {"x": ["batch", "length", 4]}}
    with pytest.raises(UsageError, match="the size of 'length' is baked in") as caught:
        export(folder, "baked", input=shapes, export=ONLY)
    said = caught.value.message
    assert "length = int(np.prod(np.array([x.shape[1]])))" in said
    # The user's own line comes before those of libraries.
    assert said.index("models.py") < said.index("numpy()") if "numpy()" in said else True
    assert "script:" in said
    assert str(folder) not in said


def test_what_neither_way_can_capture_names_branch_and_compiler(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export(folder, "stubborn", input=ROWS, export=ONLY)
    said = caught.value.message
    assert "if x.sum() > 0" in said
    assert "script: Compiled functions can't take variable number of arguments" in said
    assert "def forward(self, x, **options)" in said
    assert "torch.where" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["tuple", "list", "dict", "named"])
def test_containers_of_outputs_become_a_tuple(folder: Path, kind: str) -> None:
    data = {"entry": "models.py:rows"}
    model = {"entry": "models.py:several", "args": {"kind": kind}}
    result = export(folder, model, data=data, export=ONLY)
    names = [spec.name for spec in result.signature.outputs]
    named = kind in ("dict", "named")
    assert names == (["scores", "features"] if named else ["output", "output_1"])
    assert [spec.name for spec in result.signature.inputs] == ["x", "mask"]
    result.assert_same(np.ones((5, 4), np.float32), np.full((5, 1), 2, np.float32))


def test_samples_given_by_name_reach_the_right_parameter(folder: Path) -> None:
    data = {"entry": "models.py:rows", "args": {"kind": "by name"}}
    result = export(folder, "several", data=data, export=ONLY)
    assert [spec.name for spec in result.signature.inputs] == ["mask", "x"]
    result.assert_same(np.full((5, 1), 2, np.float32), np.ones((5, 4), np.float32))


def test_a_parameter_that_only_has_a_name(folder: Path) -> None:
    data = {"entry": "models.py:rows", "args": {"kind": "scale"}}
    result = export(folder, "only_by_name", data=data, export=ONLY)
    result.assert_same(np.ones((5, 4), np.float32), np.full((5, 1), 2, np.float32))


def test_a_scripted_dict(folder: Path) -> None:
    result = export(folder, "scripted_dict", input=ROWS, export=ONLY)
    assert result.artifacts["torchscript"].details["capture"] == "script"
    result.assert_same(-np.ones((3, 4), np.float32))


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("capture", ["trace", "script"])
def test_pictures_of_any_size(folder: Path, fit: str, capture: str) -> None:
    result = export(
        folder,
        "cnn",
        input={**IMAGE, "fit": fit},
        output={"kind": "classification"},
        export={**ONLY, "capture": capture},
    )
    rng = np.random.default_rng(0)
    for shape in ((1, 16, 20, 3), (7, 40, 9, 3), (2, 9, 40, 3), (1, 1, 1, 3)):
        result.assert_same(rng.integers(0, 256, shape, dtype=np.uint8), tolerance=1e-6)


def test_the_archive_is_plain(folder: Path) -> None:
    """Nothing of the machine; in evaluation mode, without gradients, with the layers' names."""
    result = export(folder, "cnn", input=IMAGE, export=ONLY)
    data = result.path("torchscript").read_bytes()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert not [name for name in names if "debug_pkl" in name or "traced_inputs" in name]
    module = torch.jit.load(result.path("torchscript"))
    assert not module.training
    parameters = dict(module.named_parameters())
    assert "model.0.weight" in parameters
    assert not any(parameter.requires_grad for parameter in parameters.values())
    schema = module.forward.schema
    assert [argument.name for argument in schema.arguments] == ["self", "image"]


def test_tied_weights_are_stored_once(folder: Path) -> None:
    result = export(folder, "twins", input={"shapes": {"x": ["batch", 64]}})
    for format in ("torchscript", "onnx"):
        assert result.artifacts[format].bytes < 1.8 * 64 * 64 * 4, format
    result.assert_same(np.ones((3, 64), np.float32))
