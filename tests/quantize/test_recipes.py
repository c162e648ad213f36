"""Each recipe in each format: what it says it did is in the file, and the answers hold."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.errors import UsageError
from pipeline.formats.torchscript.load import load_script
from pipeline.project.samples import load_samples
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.onnx.graph import excluded_nodes, regions
from pipeline.system import machine
from tests.quantize.quantize_cases import MODELS, TENSOR, Exported, answer, batches, export

ALL = 'quantize.recipes=["int8-static","int8-dynamic","fp16"]'
Project = Callable[[str], Exported]


def accuracy(exported: Exported, path: Path) -> float:
    samples = load_samples(exported.config(), "validation", 360)
    assert samples.targets is not None
    pictures = np.stack([row[0] for row in samples.inputs])
    (scores,) = answer(path, [pictures])
    return float((scores.argmax(1) == np.array(samples.targets)).mean())


def test_digits_keep_their_accuracy(digits: Exported) -> None:
    result = digits.quantize(ALL)
    assert set(result.artifacts) == {
        "onnx-int8-static",
        "onnx-int8-dynamic",
        "onnx-fp16",
        "torchscript-int8-static",
        "torchscript-int8-dynamic",
    }
    reference = accuracy(digits, digits.fp32("onnx"))
    assert reference > 0.9
    for id in result.artifacts:
        assert accuracy(digits, result.path(id)) >= reference - 0.02, id


def test_static_onnx_is_uint8_times_int8_per_channel(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["onnx:int8-static"]')
    facts = result.facts("onnx-int8-static")
    assert facts.operators["QuantizeLinear"] and facts.operators["DequantizeLinear"]
    weights = {layer.name: layer for layer in facts.layers}
    assert weights["model.14.weight_quantized"].dtype == "int8"
    assert weights["model.14.weight_scale"].shape == (32,)
    activations = {layer.dtype for layer in facts.layers if "zero_point" in layer.name}
    assert ("uint8" in activations) == (machine.made_for() == "x86_64")
    before = result.summary["artifacts"]["onnx-int8-static"]["weight_bytes"]["before"]
    assert facts.weight_bytes["int8"] > sum(before.values()) / 4.2
    assert result.summary["artifacts"]["onnx-int8-static"]["layers"] == {
        "convolutions": {"quantized": 5, "of": 5},
        "linear layers": {"quantized": 1, "of": 1},
    }
    assert result.artifacts["onnx-int8-static"].made_for == machine.made_for()


def test_preprocessing_and_softmax_stay_float(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["onnx:int8-static"]')
    model = onnx.load(result.path("onnx-int8-static"))
    order = [node.op_type for node in model.graph.node]
    assert order.index("Resize") < order.index("QuantizeLinear")
    made = {name: node for node in model.graph.node for name in node.output}
    for kind in ("Resize", "Softmax"):
        (node,) = (node for node in model.graph.node if node.op_type == kind)
        assert made[node.input[0]].op_type not in ("DequantizeLinear", "QuantizeLinear")


def test_static_torchscript_has_quantized_kernels(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["torchscript:int8-static"]')
    facts = result.facts("torchscript-int8-static")
    assert facts.operators["quantized::conv2d_relu"] == 5
    assert facts.operators["quantized::linear"] == 1
    assert facts.operators["aten::_upsample_bilinear2d_aa"] == 1
    assert facts.weight_bytes["int8"] > 30 * facts.weight_bytes["float32"] / 10
    assert [port.name for port in facts.inputs] == ["image"]


def test_another_size_and_batch_still_run(digits: Exported) -> None:
    result = digits.quantize(ALL)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 17, 23, 1), dtype=np.uint8)
    for id, artifact in result.artifacts.items():
        (expected,) = answer(digits.fp32(artifact.format), [pictures])
        (given,) = answer(result.path(id), [pictures], artifact.made_for)
        assert given.shape == (3, 10)
        assert np.abs(given - expected).max() < 0.25, id


@pytest.mark.parametrize("name", ["mlp", "attention", "two", "recurrent"])
def test_other_models(project: Project, name: str) -> None:
    exported = project(name)
    recipes = ["onnx:int8-dynamic", "torchscript:int8-dynamic", "fp16"]
    recipes += [] if name == "recurrent" else ["int8-static"]
    result = exported.quantize(f"quantize.recipes={json.dumps(recipes)}")
    batch = next(batches(exported.config(), exported.signature, "calibration", 24, 5))
    for id, artifact in result.artifacts.items():
        facts = result.facts(id)
        types = facts.weight_bytes
        assert types.get("float16" if artifact.precision == "fp16" else "int8", 0) > 0, id
        expected = answer(exported.fp32(artifact.format), batch)
        given = answer(result.path(id), batch, artifact.made_for)
        assert len(given) == len(expected)
        for one, other in zip(given, expected, strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() < 0.1 * max(1.0, np.abs(other).max()), id


def test_dynamic_leaves_convolutions_float(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["int8-dynamic"]')
    onnx_facts = result.facts("onnx-int8-dynamic")
    assert onnx_facts.operators["Conv"] == 5 and onnx_facts.operators["MatMulInteger"] == 1
    torch_facts = result.facts("torchscript-int8-dynamic")
    assert torch_facts.operators["quantized::linear_dynamic"] == 1
    for id in result.artifacts:
        layers = result.summary["artifacts"][id]["layers"]
        assert layers["convolutions"] == {"quantized": 0, "of": 5}


def test_mixed_has_static_convolutions_and_dynamic_linear_layers(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["int8-mixed"]')
    (id,) = result.artifacts
    assert id == "onnx-int8-mixed"
    operators = result.facts(id).operators
    assert operators["Conv"] == 5 and operators["MatMulInteger"] == 1 and "Gemm" not in operators
    seen = fused(result.path(id))
    assert (seen.convolutions, seen.linears) == ((5, 5), (1, 1))
    assert accuracy(digits, result.path(id)) >= accuracy(digits, digits.fp32("onnx")) - 0.02
    kept = digits.quantize('quantize.recipes=["int8-mixed"]', 'quantize.exclude=["model.20"]')
    layers = kept.summary["artifacts"][id]["layers"]
    assert layers["linear layers"] == {"quantized": 0, "of": 1}
    assert layers["convolutions"] == {"quantized": 5, "of": 5}


def test_a_weight_that_two_layers_share_is_turned_once(project: Project) -> None:
    exported = project("tied")
    result = exported.quantize('quantize.recipes=["onnx:int8-dynamic", "onnx:int8-weights"]')
    batch = next(batches(exported.config(), exported.signature, "calibration", 24, 5))
    (expected,) = answer(exported.fp32("onnx"), batch)
    for id in result.artifacts:
        (given,) = answer(result.path(id), batch)
        assert np.abs(given - expected).max() < 0.02 * np.abs(expected).max(), id


def test_nothing_is_left_where_it_was_started(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ONNX Runtime cannot follow the shapes it writes the model into the current folder."""
    exported = project("encoder")
    monkeypatch.chdir(tmp_path)
    exported.quantize('quantize.recipes=["onnx:int8-dynamic"]')
    assert not list(tmp_path.iterdir())


def test_recurrent_layers_are_quantized_dynamically(project: Project) -> None:
    result = project("recurrent").quantize('quantize.recipes=["int8-dynamic"]')
    assert result.facts("onnx-int8-dynamic").operators["com.microsoft.DynamicQuantizeLSTM"] == 1
    assert result.facts("torchscript-int8-dynamic").operators["aten::quantized_lstm"] == 1


def test_fp16_halves_the_weights_and_keeps_the_pixels(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["fp16"]')
    facts = result.facts("onnx-fp16")
    assert facts.weight_bytes["float32"] == 8  # mean and std
    assert result.summary["artifacts"]["onnx-fp16"]["ratio"] == pytest.approx(2, rel=0.01)
    assert (facts.inputs[0].dtype, facts.outputs[0].dtype) == ("uint8", "float32")
    model = onnx.shape_inference.infer_shapes(onnx.load(result.path("onnx-fp16")))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    (resize,) = (node for node in model.graph.node if node.op_type == "Resize")
    assert types[resize.output[0]] == onnx.TensorProto.FLOAT


def test_reduced_range_without_vnni(digits: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "has_vnni", lambda: False)
    monkeypatch.setattr(machine, "made_for", lambda: "x86_64")
    result = digits.quantize('quantize.recipes=["onnx:int8-static"]')
    assert result.artifacts["onnx-int8-static"].details["reduce_range"] is True
    model = onnx.load(result.path("onnx-int8-static"))
    weights = [t for t in model.graph.initializer if t.name.endswith("weight_quantized")]
    assert weights
    assert all(np.abs(onnx.numpy_helper.to_array(t).astype(int)).max() <= 64 for t in weights)


def test_arm_gets_signed_activations(digits: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "made_for", lambda: "arm64")
    result = digits.quantize('quantize.recipes=["onnx:int8-static"]')
    facts = result.facts("onnx-int8-static")
    assert "uint8" not in facts.weight_bytes
    assert result.artifacts["onnx-int8-static"].made_for == "arm64"


@pytest.mark.parametrize("pattern", ["model.14", "14", "model.14*"])
def test_excluded_layers_stay_float(digits: Exported, pattern: str) -> None:
    result = digits.quantize(f"quantize.exclude={json.dumps([pattern])}")
    for id in ("onnx-int8-static", "torchscript-int8-static"):
        layers = result.summary["artifacts"][id]["layers"]
        assert layers["convolutions"] == {"quantized": 4, "of": 5}, id
        assert layers["linear layers"] == {"quantized": 1, "of": 1}, id
    largest = result.facts("onnx-int8-static").layers[0]
    assert (largest.name, largest.dtype) == ("model.14.weight", "float32")


def test_exclude_by_node_and_in_other_recipes(digits: Exported) -> None:
    model = onnx.load(digits.fp32("onnx"))
    (linear,) = (node.name for node in model.graph.node if node.op_type == "Gemm")
    assert excluded_nodes(model, (linear,)) == {linear}
    result = digits.quantize(
        f"quantize.exclude={json.dumps([linear])}", 'quantize.recipes=["fp16","onnx:int8-static"]'
    )
    for found in result.summary["artifacts"].values():
        assert found["layers"]["linear layers"] == {"quantized": 0, "of": 1}
        assert found["layers"]["convolutions"] == {"quantized": 5, "of": 5}


def test_regions_are_found_by_place(digits: Exported) -> None:
    graph = onnx.load(digits.fp32("onnx")).graph
    places = regions(graph)
    kinds = {node.name: node.op_type for node in graph.node}
    assert "Resize" in {kinds[name] for name in places.before}
    assert {kinds[name] for name in places.after} == {"Softmax"}


def test_same_configuration_same_bytes(digits: Exported, tmp_path: Path) -> None:
    """In another process, with other hash seeds, in a folder with a space."""
    folder = tmp_path / "ein anderer Ort"
    subprocess.run(["cp", "-r", digits.folder, folder], check=True)
    code = f"""
import sys
from pathlib import Path
from tests.quantize.quantize_cases import Exported
Exported(Path({str(folder)!r}), {digits.overrides!r}).quantize({ALL!r})
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={
            "PYTHONHASHSEED": "77",
            "PATH": "/usr/bin:/bin",
            "TZ": "Asia/Tokyo",
            "PYTHONPATH": str(Path(__file__).parent),
        },
    )
    here = digits.quantize(ALL).out
    there = folder / here.name
    files = sorted(path.name for path in here.iterdir() if path.is_file())
    assert len(files) == 7
    for name in files:
        data = (here / name).read_bytes()
        assert data == (there / name).read_bytes(), name
        assert str(digits.folder).encode() not in data


def test_float16_overflow_is_found(project: Project) -> None:
    with pytest.raises(UsageError, match="NaN or infinity") as caught:
        project("loud").quantize('quantize.recipes=["fp16"]')
    assert "exclude" in str(caught.value.hint)


def test_ranges_from_noise_are_told(project: Project) -> None:
    static = project("convolutions").quantize('quantize.recipes=["onnx:int8-static"]')
    assert any("noise" in text for text in static.report.warnings)
    half = project("convolutions").quantize('quantize.recipes=["fp16"]')
    assert not half.report.warnings


NORM = """
class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = Sub(12, 16), nn.LayerNorm(16), nn.Linear(16, 2)
        self.read = nn.Linear(16, 16)
        self.bag = nn.Linear(16, 16)

    def forward(self, x):
        x = self.norm(self.first(x))
        x = x + self.read(x).to(self.read.weight.device)
        return self.last(x + nn.functional.linear(x, self.bag.weight, self.bag.bias))


class Sub(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias)


def norm():
    torch.manual_seed(0)
    return Norm()
"""


def test_layers_that_torch_would_stumble_over(tmp_path: Path) -> None:
    """A subclass of Linear is one; a layer that is only read, or read as well, stays float."""
    text = TENSOR.format(model="norm", data="rows", input="")
    (tmp_path / "pipeline.toml").write_text(text, encoding="utf-8")
    (tmp_path / "models.py").write_text(MODELS + NORM, encoding="utf-8")
    recipes = ["torchscript:int8-static", "torchscript:int8-dynamic"]
    result = export(tmp_path).quantize(f"quantize.recipes={json.dumps(recipes)}")
    static = result.facts("torchscript-int8-static").operators
    assert static["quantized::linear"] == 3 and static["aten::linear"] == 1
    assert static["aten::layer_norm"] == 1 and "quantized::add" not in static
    dynamic = result.facts("torchscript-int8-dynamic").operators
    assert dynamic["quantized::linear_dynamic"] == 2


def test_ranges_have_all_8_bits_where_nothing_saturates(
    digits: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the pictures, -1 to 1: 255 steps, or 127 on a CPU that adds up products in 16 bits."""
    scales = {}
    for vnni in (True, False):
        monkeypatch.setattr(machine, "has_vnni", lambda vnni=vnni: vnni)
        monkeypatch.setattr(machine, "made_for", lambda: "x86_64")
        result = digits.quantize('quantize.recipes=["torchscript:int8-static"]')
        artifact = result.artifacts["torchscript-int8-static"]
        assert artifact.details["reduce_range"] is not vnni
        module = load_script(result.path(artifact.id))
        scales[vnni] = next(float(b) for name, b in module.named_buffers() if "scale" in name)
    assert scales[True] == pytest.approx(2 / 255, rel=0.05)
    assert scales[False] == pytest.approx(2 / 127, rel=0.05)


@pytest.mark.parametrize("key", ["onnx", "torchscript"])
def test_a_model_that_is_a_file(project: Project, tmp_path: Path, key: str) -> None:
    """Both have every ONNX recipe; that TorchScript has none of its own is said."""
    source = project("mlp").fp32(key)
    text = TENSOR.format(model="mlp", data="rows", input="")
    text = text.replace('entry = "models.py:mlp"', f'{key} = "{source.name}"')
    if key == "onnx":
        text = text.replace('kind = "tensor"', 'kind = "tensor"\nshapes = { input = ["b", 12] }')
    (tmp_path / "pipeline.toml").write_text(text, encoding="utf-8")
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    shutil.copy(source, tmp_path)
    result = export(tmp_path).quantize(ALL)
    assert set(result.artifacts) == {"onnx-int8-static", "onnx-int8-dynamic", "onnx-fp16"}
    said = [text for text in result.report.warnings if "left out" in text]
    assert len(said) == (2 if key == "torchscript" else 0)
