"""Every way to an ONNX artifact of pictures ends in one that the C++ runner takes, too."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from pipeline.runtimes import RUNTIMES, Asked
from tests.export.conftest import IMAGE, Result, export
from tests.export.test_sources import CLASSES, PIXELS, net, save_onnx, save_script

RUNNER = RUNTIMES["cpp-onnxruntime"]
ONLY = {"formats": ["onnx"]}


def assert_taken(result: Result) -> None:
    model = onnx.load(result.path("onnx"))
    domains = [entry.domain for entry in model.opset_import]
    assert len(domains) == len(set(domains)), domains
    lack = RUNNER.why_not()
    if lack:
        pytest.skip(lack)
    picture = np.random.default_rng(0).integers(0, 256, (1, 40, 9, 3), dtype=np.uint8)
    runner = RUNNER.open(result.path("onnx"), Asked(result.signature, 1))
    try:
        (answer,) = runner.run([picture])
    finally:
        runner.close()
    np.testing.assert_allclose(answer, result.eager(picture)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("exporter", ["dynamo", "legacy"])
def test_an_exporter(folder: Path, exporter: str) -> None:
    assert_taken(export(folder, "cnn", input=IMAGE, export={**ONLY, "exporter": exporter}))


def test_a_torchscript_file(folder: Path) -> None:
    save_script(net(), folder / "net.pt")
    assert_taken(export(folder, {"torchscript": "net.pt"}, input=IMAGE, output=CLASSES))


def saved(folder: Path, opset: int) -> onnx.ModelProto:
    axes = {"pixels": {0: "N"}, "scores": {0: "N"}}
    options: dict[str, Any] = {"output_names": ["scores"], "dynamic_axes": axes}
    save_onnx(
        net(),
        folder / "net.onnx",
        (torch.zeros(1, *PIXELS),),
        ["pixels"],
        opset_version=opset,
        **options,
    )
    return onnx.load(folder / "net.onnx")


@pytest.mark.parametrize("opset", [13, 18])
def test_an_onnx_file(folder: Path, opset: int) -> None:
    saved(folder, opset)
    assert_taken(export(folder, {"onnx": "net.onnx"}, input=IMAGE, output=CLASSES))


def test_an_onnx_file_as_other_converters_write_it(folder: Path) -> None:
    """-1 for a size of any, the long name of the standard domain, an import that nothing uses."""
    model = saved(folder, 18)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    model.opset_import[0].domain = "ai.onnx"
    model.opset_import.append(onnx.helper.make_opsetid("org.example", 1))
    onnx.save(model, folder / "net.onnx")
    result = export(folder, {"onnx": "net.onnx"}, input=IMAGE, output=CLASSES)
    assert result.signature.inputs[0].shape == (None, None, None, 3)
    assert result.signature.outputs[0].shape == (None, 5)
    assert_taken(result)
