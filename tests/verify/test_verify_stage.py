"""The stage on real artifacts: good ones pass, each way to be wrong fails for its own reason."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn
from verify_cases import Case, as_onnx, traced

from pipeline.errors import UsageError
from pipeline.machine import made_for
from pipeline.signature import Signature, TensorSpec
from pipeline.verify.stage import VERDICT

PICTURE = torch.randint(0, 256, (2, 9, 7, 3), dtype=torch.uint8)
TOKENS = (torch.tensor([[1, 2, 3]] * 2), torch.ones(2, 3, dtype=torch.bool))


def good(case: Case) -> bytes:
    inputs = {"image": (PICTURE,), "ids": TOKENS}.get(
        case.signature.inputs[0].name, (torch.zeros(2, 4),)
    )
    return traced(case.model(), *inputs)


def only_row(case: Case) -> dict[str, Any]:
    (row,) = case.verify()["rows"]
    assert isinstance(row, dict)
    return row


def said(row: dict[str, Any]) -> str:
    assert row["verdict"] == "fail"
    return "\n".join(row["reasons"])


@pytest.fixture(scope="module")
def picture_onnx(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Exported once for the module, by the first test that needs it."""
    return {}


def onnx_of(case: Case, kept: dict[str, bytes]) -> bytes:
    if "fp32" not in kept:
        axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        axes[2] = torch.export.Dim.DYNAMIC
        kept["fp32"] = as_onnx(case.model(), [PICTURE], [axes], ["image"], ["probabilities"])
    return kept["fp32"]


def test_good_artifacts_pass(pictures: Case, picture_onnx: dict[str, bytes]) -> None:
    pictures.add(good(pictures))
    found = pictures.add(onnx_of(pictures, picture_onnx), "onnx").verify()
    assert found["verdict"] == "pass", found["rows"]
    assert found["summary"] == {
        "verdict": "pass", "samples": 256, "synthetic": False, "rows": 2, "failing": 0,
    }  # fmt: skip
    assert [(row["artifact"], row["runtime"]) for row in found["rows"]] == [
        ("torchscript-fp32", "torchscript"),
        ("onnx-fp32", "onnxruntime"),
    ]
    assert found["metric"]["reference"] > 0.9
    for row in found["rows"]:
        assert row["reasons"] == []
        assert row["max_abs"] <= row["tolerances"]["max_abs"] == 1e-4
        assert row["top1"] == 1.0
        assert row["drop"] == 0.0
        assert [edge["verdict"] for edge in row["edges"]] == ["pass"] * 8
    assert found["warnings"] == []


def test_the_same_input_gives_the_same_bytes(pictures: Case, tmp_path: Path) -> None:
    pictures.add(good(pictures))
    pictures.verify("one")
    other = tmp_path / "elsewhere, again"
    shutil.copytree(pictures.folder, other)
    moved = Case(other, pictures.config, pictures.signature, pictures.artifacts)
    moved.verify("two")
    one = (pictures.folder / "one" / VERDICT).read_bytes()
    assert one == (other / "two" / VERDICT).read_bytes()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(one, parse_constant=refuse)
    assert str(tmp_path).encode() not in one


def test_a_weight_that_is_a_little_off(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].bias[0] += 0.02
    row = only_row(pictures.add(traced(model, PICTURE)))
    assert "probabilities: largest error" in said(row)
    assert "0.0001 allowed" in said(row)
    assert row["top1"] > 0.95  # decisions alone would not have shown it
    worst = row["outputs"][0]["worst"]
    assert len(worst) == 5
    assert worst[0]["max_abs"] == row["max_abs"]


def test_another_mean_in_the_preprocessing(pictures: Case) -> None:
    model = pictures.model()
    assert model.pre is not None
    model.pre.mean = torch.full_like(model.pre.mean, 0.485)
    assert "largest error" in said(only_row(pictures.add(traced(model, PICTURE))))


class Flipped(nn.Module):
    def __init__(self, model: nn.Module, axis: int, output: bool) -> None:
        super().__init__()
        self.model, self.axis, self.output = model, axis, output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x).flip(self.axis) if self.output else self.model(x.flip(self.axis))


def test_channels_swapped(pictures: Case) -> None:
    row = only_row(pictures.add(traced(Flipped(pictures.model(), 3, output=False), PICTURE)))
    assert "decisions are not the reference's" in said(row)
    assert row["drop"] > 0.1  # red is blue now
    assert 0 < len(row["outputs"][0]["disagreements"]) <= 20


def test_classes_swapped(pictures: Case) -> None:
    row = only_row(pictures.add(traced(Flipped(pictures.model(), 1, output=True), PICTURE)))
    assert "decisions are not the reference's" in said(row)
    assert row["top1"] < 0.5


def test_images_turned(pictures: Case) -> None:
    class Turned(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x.transpose(1, 2))

    row = only_row(pictures.add(traced(Turned(pictures.model(), 0, output=False), PICTURE)))
    assert row["top1"] < 0.6
    assert "not the reference's" in said(row)


def test_nan_weights(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].weight[0, 0] = float("nan")
    row = only_row(pictures.add(traced(model, PICTURE)))
    assert "NaN or infinity for 256 samples, the first is 0, where the reference is" in said(row)
    assert row["max_abs"] is None
    assert row["metric"] is None
    assert all(edge["verdict"] == "fail" for edge in row["edges"])


def test_nan_for_some_samples(table: Case) -> None:
    class Rooted(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x) + 0 * torch.sqrt(x[:, :1] + 2.0)

    row = only_row(table.add(traced(Rooted(table.model()), torch.zeros(2, 4))))
    assert "where the reference is finite" in said(row)
    assert 0 < row["outputs"][0]["not_finite"] < 50
    assert row["max_abs"] == 0.0  # the others are compared


def test_nan_in_the_reference_is_the_models_fault(table: Case) -> None:
    from pipeline.weights import WEIGHTS, save_weights

    table.add(good(table))
    model = table.model()
    with torch.no_grad():
        model.model[0].weight[0, 0] = float("inf")
    save_weights(model.model, table.inputs["train"] / WEIGHTS)
    found = table.verify()
    assert "the reference itself gives NaN or infinity" in said(found["rows"][0])
    assert "the model is at fault" in said(found["rows"][0])
    assert found["metric"] is None
    assert "MeanSquaredError of the reference is not a finite number" in found["warnings"][0]


def test_a_baked_batch(pictures: Case) -> None:
    class Baked(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x).reshape(2, 3)

    row = only_row(pictures.add(traced(Baked(pictures.model(), 0, output=False), PICTURE)))
    assert "samples 0 to 31: raised on a batch of 32:" in said(row)
    assert "invalid for input of size" in said(row)
    assert str(pictures.folder) not in said(row)
    edges = {edge["case"]: edge["verdict"] for edge in row["edges"]}
    assert edges["batch of 2"] == "pass"
    assert edges["batch of 7"] == edges["batch of 1"] == "fail"


def test_a_baked_size(pictures: Case) -> None:
    class Baked(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x[:, :8, :8].reshape(-1, 8, 8, 3))

    square = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    row = only_row(pictures.add(traced(Baked(pictures.model(), 0, output=False), square)))
    assert "another size, smaller (4 × 6): raised on a batch of 1" in said(row)
    assert row["top1"] == 1.0  # all samples are of 8 × 8: only the edge shows it


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (TensorSpec("probabilities", "float64", (None, 3)), "float32[32, 3] where the signature"),
        (TensorSpec("probabilities", "float32", (None, 4)), "The model itself gives"),
    ],
)
def test_a_model_unlike_its_signature(pictures: Case, output: TensorSpec, reason: str) -> None:
    signed = pictures.add(good(pictures)).signed(Signature(pictures.signature.inputs, (output,)))
    with pytest.raises(UsageError) as caught:
        signed.verify()
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda y: y.double(), "probabilities is float64[32, 3] where the signature has"),
        (lambda y: y[:, :2], "probabilities is float32[32, 2] where the signature has"),
        (lambda y: y.mean(0, keepdim=True), "probabilities is [1, 3] for a batch of 32"),
        (lambda y: (y, y), "2 outputs where the signature has 1"),
        (lambda y: y[None], "probabilities is float32[1, 32, 3]"),
    ],
)
def test_outputs_unlike_the_signature(pictures: Case, spoil: Any, reason: str) -> None:
    class Spoilt(Flipped):
        def forward(self, x: torch.Tensor) -> Any:
            return spoil(self.model(x))

    row = only_row(pictures.add(traced(Spoilt(pictures.model(), 0, output=False), PICTURE)))
    assert reason in said(row)


def test_a_file_that_no_runtime_takes(pictures: Case) -> None:
    pictures.add(b"nothing").add(b"nothing", "onnx")
    found = pictures.verify()
    assert found["verdict"] == "fail"
    assert found["summary"]["failing"] == 2
    for row in found["rows"]:
        assert "cannot be opened:" in said(row)
        assert str(pictures.folder) not in said(row)


def test_nothing_to_judge_is_an_error(pictures: Case) -> None:
    with pytest.raises(UsageError, match="no artifact to verify"):
        pictures.verify()


def test_an_artifact_without_a_runtime_is_an_error(pictures: Case) -> None:
    pictures.add(good(pictures))
    with pytest.raises(UsageError, match="no runtime for torchscript-fp32"):
        pictures.configured(verify={"runtimes": ["onnxruntime"]}).verify()


def test_int8_and_its_drop(pictures: Case, picture_onnx: dict[str, bytes]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    float_file = pictures.folder / "float.onnx"
    model = onnx.load_from_string(onnx_of(pictures, picture_onnx))
    del model.graph.value_info[:]  # the quantizer infers shapes, and trips over given ones
    onnx.save(model, float_file)
    int8_file = pictures.folder / "int8.onnx"
    quantize_dynamic(float_file, int8_file, weight_type=QuantType.QInt8)
    pictures.add(int8_file.read_bytes(), "onnx", "int8", "int8-dynamic", made_for())
    found = pictures.verify()
    (row,) = found["rows"]
    assert row["verdict"] == "pass", row["reasons"]
    assert row["max_abs"] > 1e-4
    assert 10 < row["sqnr_db"] < 80
    assert row["drop"] <= row["tolerances"]["max_drop"] == 0.01
    assert found["warnings"] == []


def test_an_int8_artifact_that_lost_too_much(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].bias[0] += 3.0
    pictures.add(traced(model, PICTURE), "torchscript", "int8", "int8-static", "riscv64")
    found = pictures.verify()
    assert "Accuracy" in said(found["rows"][0])
    assert "0.01 allowed" in said(found["rows"][0])
    assert f"verified on {made_for()}" in found["warnings"][0]


def test_regression(table: Case) -> None:
    table.add(good(table))
    found = table.verify()
    assert found["verdict"] == "pass", found["rows"]
    assert found["metric"]["goal"] == "min"
    (row,) = found["rows"]
    assert row["top1"] is None
    assert row["tolerances"]["max_abs"] > 1e-3  # the answers are tens


def test_a_larger_error_is_a_worse_one(table: Case) -> None:
    model = table.model()
    with torch.no_grad():
        model.model[-1].bias += 3.0
    content = traced(model, torch.zeros(2, 4))
    row = only_row(table.add(content, "torchscript", "int8", "int8-static"))
    assert row["drop"] > 1.0
    assert "MeanSquaredError" in said(row)
    assert row["sqnr_db"] > 10  # the tensors alone would have passed


def test_several_outputs_inputs_by_name(tokens: Case) -> None:
    tokens.add(good(tokens))
    found = tokens.verify()
    assert found["verdict"] == "pass", found["rows"]
    assert found["metric"] is None
    outputs = {output["name"]: output for output in found["rows"][0]["outputs"]}
    assert list(outputs) == ["scores", "mean", "first"]
    assert outputs["first"]["top1"] == 1.0
    assert outputs["first"]["tolerances"]["max_abs"] is None
    assert outputs["mean"]["tolerances"]["max_abs"] > 0.1


def test_one_bad_output_of_several(tokens: Case) -> None:
    class Off(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
            scores, mean, first = self.model(ids, mask)
            return scores, mean, (first + (ids[:, 0] == 3)).clamp(max=2)

    row = only_row(tokens.add(traced(Off(tokens.model()), *TOKENS)))
    assert all("first" in reason for reason in row["reasons"])
    assert 0.8 < row["top1"] < 1.0
    assert row["outputs"][0]["reasons"] == row["outputs"][1]["reasons"] == []


def test_an_edge_that_the_model_itself_refuses(tokens: Case) -> None:
    code = tokens.folder / "parts.py"
    text = code.read_text(encoding="utf-8")
    refusal = '        if ids.shape[1] != 5: raise ValueError("five tokens, please")\n'
    marker = "    def forward(self, ids, mask):\n"
    code.write_text(text.replace(marker, marker + refusal), encoding="utf-8")
    tokens.add(traced(tokens.model(), torch.ones(2, 5, dtype=torch.long), TOKENS[1][:, [0] * 5]))
    found = tokens.verify()
    skipped = [edge for edge in found["rows"][0]["edges"] if edge["verdict"] == "skipped"]
    assert [edge["case"] for edge in skipped] == [
        "another size, larger (8)", "another size, smaller (2)",
    ]  # fmt: skip
    assert "ValueError: five tokens, please" in skipped[0]["reason"]
    assert len(found["warnings"]) == 2
    assert found["verdict"] == "pass"


def test_fewer_samples_are_said(pictures: Case) -> None:
    pictures.add(good(pictures))
    found = pictures.configured(data={"args": {"validation": 40}}).verify()
    assert found["samples"] == 40
    assert found["warnings"] == ["The validation set has 40 samples; verify.samples asks for 256."]


def test_pictures_of_many_sizes(pictures: Case) -> None:
    sizes = [[8, 8], [13, 9], [5, 21]]
    mixed = pictures.configured(data={"args": {"sizes": sizes}}, verify={"batch_size": 7})
    mixed.add(good(mixed))
    found = mixed.verify()
    assert found["verdict"] == "pass", found["rows"]


def test_a_fixed_batch_is_filled_up(pictures: Case) -> None:
    class Four(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x).reshape(4, 3)

    fixed = Signature(
        (TensorSpec("image", "uint8", (4, None, None, 3)),),
        (TensorSpec("probabilities", "float32", (4, 3)),),
    )
    case = pictures.signed(fixed).configured(data={"args": {"validation": 30}})
    model = Four(pictures.model(), 0, output=False)
    found = case.add(traced(model, PICTURE[[0, 1, 0, 1]])).verify()
    assert found["verdict"] == "pass", found["rows"]
    assert found["samples"] == 30


def test_without_data_noise_stands_in(table: Case) -> None:
    table.add(good(table))
    data = table.config.model_dump(mode="json", exclude_unset=True)
    del data["data"]
    data["input"] = {"shapes": {"input": ["batch", 4]}}
    from pipeline.config import parse_config

    bare = Case(table.folder, parse_config(data, table.folder / "pipeline.toml"), table.signature)
    found = bare.verify()
    assert (found["verdict"], found["synthetic"], found["metric"]) == ("pass", True, None)
    assert "verified on noise" in found["warnings"][0]


def test_configured_tolerances_decide(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].bias[0] += 0.02
    pictures.add(traced(model, PICTURE))
    allowed = {"max_abs": 0.1, "max_rel": 0.1, "min_sqnr_db": 20, "min_top1": 0.9}
    wide = pictures.configured(verify={"tolerances": {"fp32": allowed}})
    assert wide.verify()["verdict"] == "pass"


def test_targets_that_the_metric_does_not_take(pictures: Case) -> None:
    pictures.add(good(pictures))
    wrong = pictures.configured(output={"metric_args": {"task": "multiclass", "num_classes": 2}})
    with pytest.raises(UsageError, match="The metric Accuracy, given outputs"):
        wrong.verify()
