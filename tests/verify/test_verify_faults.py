"""Each way to be wrong fails for its own reason."""

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.system.machine import made_for
from tests.verify.verify_cases import (
    PICTURE,
    SENTENCES,
    Case,
    Flipped,
    good,
    only_row,
    said,
    traced,
)


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
    model.images[0].mean = torch.full_like(model.images[0].mean, 0.485)  # type: ignore[arg-type]
    assert "largest error" in said(only_row(pictures.add(traced(model, PICTURE))))


def test_channels_swapped(pictures: Case) -> None:
    row = only_row(pictures.add(traced(Flipped(pictures.model(), 3, output=False), PICTURE)))
    assert "decisions differ from the reference's" in said(row)
    assert row["drop"] > 0.1  # red is blue now
    assert 0 < len(row["outputs"][0]["disagreements"]) <= 20


def test_classes_swapped(pictures: Case) -> None:
    row = only_row(pictures.add(traced(Flipped(pictures.model(), 1, output=True), PICTURE)))
    assert "decisions differ from the reference's" in said(row)
    assert row["top1"] < 0.5


def test_images_turned(pictures: Case) -> None:
    class Turned(Flipped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x.transpose(1, 2))

    row = only_row(pictures.add(traced(Turned(pictures.model(), 0, output=False), PICTURE)))
    assert row["top1"] < 0.6
    assert "differ from the reference's" in said(row)


def test_nan_weights(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].weight[0, 0] = float("nan")
    row = only_row(pictures.add(traced(model, PICTURE)))
    assert "NaN or infinity for 320 samples, the first is 0, where the reference is" in said(row)
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
    from pipeline.project.weights import WEIGHTS, save_weights

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


def test_an_int8_artifact_that_lost_too_much(pictures: Case) -> None:
    model = pictures.model()
    with torch.no_grad():
        model.model[-1].bias[0] += 3.0
    pictures.add(traced(model, PICTURE), "torchscript", "int8", "int8-static", "riscv64")
    found = pictures.verify()
    assert "Accuracy" in said(found["rows"][0])
    assert "0.01 allowed" in said(found["rows"][0])
    assert f"verified on {made_for()}" in found["warnings"][0]


def test_a_larger_error_is_a_worse_one(table: Case) -> None:
    model = table.model()
    with torch.no_grad():
        model.model[-1].bias += 3.0
    content = traced(model, torch.zeros(2, 4))
    row = only_row(table.add(content, "torchscript", "int8", "int8-static"))
    assert row["drop"] > 1.0
    assert "MeanSquaredError" in said(row)
    assert row["sqnr_db"] > 10  # the tensors alone would have passed


def test_one_bad_output_of_several(tokens: Case) -> None:
    class Off(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
            scores, mean, first = self.model(ids, mask)
            return scores, mean, (first + (ids[:, 0] == 3)).clamp(max=2)

    row = only_row(tokens.add(traced(Off(tokens.model()), *SENTENCES)))
    assert all("first" in reason for reason in row["reasons"])
    assert 0.8 < row["top1"] < 1.0
    assert row["outputs"][0]["reasons"] == row["outputs"][1]["reasons"] == []
