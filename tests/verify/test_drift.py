"""Planted faults: the layer or the input that is to blame is named."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from pipeline import quantize
from pipeline.project.samples import load_samples
from pipeline.quantize.onnx.graph import excluded_nodes
from pipeline.system.progress import Silent
from pipeline.verify.drift.eager import EagerSource
from pipeline.verify.drift.run import drift, find, prepare
from pipeline.workspace.results.drift import Drift, LayerRow
from pipeline.workspace.stage import Job
from tests.verify.verify_cases import PICTURE, Case, Flipped, as_onnx, good, only_row, traced


def drifted(case: Case, name: str, against: str | None = None) -> Drift:
    scratch = case.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    run = prepare(case.config, case.inputs, scratch, 4)
    with Silent().bar("", None) as bar:
        other = find(case.inputs, against) if against else None
        found = drift(run, find(case.inputs, name), other, bar)
    assert not list(scratch.iterdir())
    return found


def quantized(case: Case, recipe: str) -> None:
    config = case.configured(quantize={"recipes": [recipe], "gate": False}).config
    scratch = case.folder / "quantizing"
    quantize.run(Job(config, case.inputs, case.inputs["quantize"], scratch, Silent()))


def culprit(found: Drift) -> LayerRow:
    assert found.first_bad is not None
    return found.layers[found.culprits[0]]


@pytest.fixture(scope="module")
def exported() -> dict[str, bytes]:
    return {}


def onnx_of(case: Case, exported: dict[str, bytes]) -> bytes:
    if not exported:
        axes = dict.fromkeys((0, 1, 2), torch.export.Dim.DYNAMIC)
        exported["it"] = as_onnx(case.model(), [PICTURE], [axes], ["image"], ["probabilities"])
    return exported["it"]


def test_a_good_artifact_has_no_bad_layer(pictures: Case, exported: dict[str, bytes]) -> None:
    pictures.add(good(pictures)).add(onnx_of(pictures, exported), "onnx")
    for name in ("torchscript-fp32", "onnx-fp32"):
        found = drifted(pictures, name)
        assert found.first_bad is None, found
        assert found.matched >= 9
        assert found.remedy is None
        assert {"model.3", "model.7", "post"} <= {layer.path for layer in found.layers}


@pytest.mark.parametrize("against", [None, "torchscript-fp32"])
def test_a_folded_batch_norm_is_recognised(pictures: Case, against: str | None) -> None:
    """What int8 has instead of a convolution and its batch norm is held against the latter."""
    pictures.add(good(pictures))
    quantized(pictures, "torchscript:int8-static")
    found = drifted(pictures, "torchscript-int8-static", against)
    assert found.first_bad is None
    first = next(layer for layer in found.layers if layer.path.startswith("model.0"))
    assert not first.reference.endswith("convolution")
    assert min(layer.own_db for layer in found.layers if layer.own_db) > 20


def test_across_formats(pictures: Case, exported: dict[str, bytes]) -> None:
    """What one format fuses is held against what the other computes last of it."""
    pictures.add(good(pictures)).add(onnx_of(pictures, exported), "onnx")
    quantized(pictures, "int8-static")
    for name, reference in (("torchscript", "onnx"), ("onnx", "torchscript")):
        found = drifted(pictures, f"{name}-int8-static", f"{reference}-fp32")
        assert found.first_bad is None, found
        assert found.matched >= 7
        mended = [index for step in found.mended or [] for index in step.layers]
        assert all(found.layers[index].max_abs for index in mended)


def test_a_wrong_mean(pictures: Case) -> None:
    model = pictures.model()
    model.images[0].mean = torch.full_like(model.images[0].mean, 0.485)  # type: ignore[arg-type]
    found = drifted(pictures.add(traced(model, PICTURE)), "torchscript-fp32")
    assert (culprit(found).path, culprit(found).operator) == ("pre", "sub")
    assert "[input] mean" in (found.remedy or "")


def test_channels_swapped(pictures: Case) -> None:
    pictures.add(traced(Flipped(pictures.model(), 3, output=False), PICTURE))
    layer = culprit(drifted(pictures, "torchscript-fp32"))
    assert (layer.path, layer.operator) == ("pre.fit", "div")  # the first that computes


def test_labels_shifted(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        head = model.model[-1]
        head.weight.copy_(head.weight.roll(1, 0))
        head.bias.copy_(head.bias.roll(1, 0))
    found = drifted(pictures.add(traced(model, PICTURE)), "torchscript-fp32")
    assert culprit(found).path == "model.7"
    assert len(found.culprits) == 1


def test_a_baked_batch_is_named_by_the_sweep(pictures: Case) -> None:
    class Baked(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x).reshape(2, 3)

    row = only_row(pictures.add(traced(Baked(pictures.model(), 0, output=False), PICTURE)))
    edges = {edge["case"]: edge for edge in row["edges"]}
    assert edges["batch of 7"]["verdict"] == "fail"
    assert edges["batch of 7"]["kind"] == "batch"
    assert edges["batch of 7"]["inputs"][0]["shape"] == [7, 8, 8, 3]


@pytest.mark.parametrize("layer", ["model.0", "model.3"])
def test_a_broken_scale_and_what_mending_it_gives(
    pictures: Case, exported: dict[str, bytes], tmp_path: Path, layer: str
) -> None:
    """The layer is named as `exclude` knows it, whatever was folded into it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    seen = load_samples(pictures.config, "validation", 64)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        rows = iter([{"image": np.stack([row[0] for row in seen.inputs])}])

        def get_next(self) -> Any:
            return next(self.rows, None)

    model = onnx.load_from_string(onnx_of(pictures, exported))
    del model.graph.value_info[:]
    onnx.save(model, tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "int8.onnx", Reader(), per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu", "Gemm"],
    )  # fmt: skip
    broken = onnx.load(tmp_path / "int8.onnx")
    scales = [t for t in broken.graph.initializer if t.name == f"{layer}.weight_scale"]
    assert len(scales) == 1
    scales[0].CopyFrom(
        numpy_helper.from_array(9 * numpy_helper.to_array(scales[0]), scales[0].name)
    )
    pictures.add(onnx_of(pictures, exported), "onnx")
    pictures.add((tmp_path / "int8.onnx").read_bytes(), "onnx", "int8", "int8-static")
    healthy = drifted(pictures, "onnx-int8-static")
    assert healthy.first_bad is None
    pictures.add(broken.SerializeToString(), "onnx", "int8", "int8-static")
    found = drifted(pictures, "onnx-int8-static")
    assert culprit(found).path == layer
    assert f'[quantize] exclude = ["{layer}"' in (found.remedy or "")
    kept = excluded_nodes(model, (layer,))
    assert {node.op_type for node in model.graph.node if node.name in kept} >= {"Conv"}
    mended = drifted(pictures, "onnx-int8-static", "onnx-fp32").mended
    assert mended is not None
    before, after = mended[0].sqnr_db, mended[-1].sqnr_db
    assert before is not None and after is not None and after > before + 10


def test_an_activation_that_overflows_fp16(pictures: Case) -> None:
    class Half(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.pre, self.model, self.post = model.pre, model.model.half(), model.post

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.post(self.model(self.pre(x).half()).float())

    from pipeline.project.weights import WEIGHTS, save_weights

    loud = pictures.model()
    with torch.no_grad():
        loud.model[3].weight *= 1e6
        loud.model[3].bias *= 1e6
        loud.model[7].weight *= 1e-6
    save_weights(loud.model, pictures.inputs["train"] / WEIGHTS)
    pictures.add(traced(Half(pictures.model()), PICTURE), "torchscript", "fp16", "fp16")
    found = drifted(pictures, "torchscript-fp16")
    layer = culprit(found)
    assert (layer.path, layer.not_finite > 0) == ("model.3", True)
    assert "65504" in (found.remedy or "")


def test_fused_attention_is_looked_into(self_attention: nn.Module) -> None:
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(2, 5, 16)).astype(np.float32), np.arange(5) >= [[3], [5]]]
    source, seen = EagerSource(self_attention), dict[int, np.ndarray]()
    source.stream(given, lambda index, value: seen.update({index: value.numpy()}))
    paths = {tap.path for tap in source.taps(given)}
    assert paths >= {"encoder.layers.0.linear1", "encoder.layers.0.norm2"}
    assert len(seen) == len(source.taps(given))


@pytest.fixture
def self_attention() -> nn.Module:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1)

        def forward(self, x: torch.Tensor, pad: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = self.encoder(x, src_key_padding_mask=pad)
            return answer

    return Masked().eval()
