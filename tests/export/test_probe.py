"""What a model must be, said before any exporter sees it."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from tests.export.conftest import IMAGE, ROWS, export


def refuse(folder: Path, what: str, **sections: Any) -> UsageError:
    model = {"entry": "models.py:returns", "args": {"what": what}}
    with pytest.raises(UsageError) as caught:
        export(folder, model, **{"input": ROWS, **sections})
    assert not list((folder / "export").iterdir())
    return caught.value


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("text", "The model returned a str"),
        ("none", "The model returned nothing"),
        ("empty", "The model returned no tensor: ()"),
        ("bfloat16", "'output' is bfloat16"),
        ("random", "answers differently when it is run twice"),
        ("squeezed", "depends on the input: "),
    ],
)
def test_outputs_that_no_export_can_have(folder: Path, what: str, said: str) -> None:
    error = refuse(folder, what)
    assert said in error.message
    assert error.hint


def test_what_the_model_raises_comes_with_its_line(folder: Path) -> None:
    error = refuse(folder, "raises")
    assert "mat1 and mat2 shapes cannot be multiplied" in error.message
    assert "models.py" in error.message


def test_scores_must_be_one_for_each_class(folder: Path) -> None:
    error = refuse(folder, "cube", output={"kind": "classification"})
    assert "[batch, classes]" in error.message


def test_labels_must_be_as_many_as_classes(folder: Path) -> None:
    output = {"kind": "classification", "labels": ["a", "b"]}
    error = refuse(folder, "scores", output=output)
    assert "2 labels; the model gives 3 classes" in error.message


def test_names_must_be_as_many_as_outputs(folder: Path) -> None:
    error = refuse(folder, "scores", output={"names": ["a", "b"]})
    assert "2 names" in error.message


def test_a_model_that_takes_one_batch_size_says_so(folder: Path) -> None:
    with pytest.raises(UsageError, match="cannot take a batch of 1") as caught:
        export(folder, "one_by_one", input=ROWS)
    assert "dynamic_batch = false" in (caught.value.hint or "")


def test_samples_of_varying_length_ask_for_a_named_axis(folder: Path) -> None:
    data = {"entry": "models.py:rows", "args": {"kind": "varying"}}
    with pytest.raises(UsageError, match="differ in shape") as caught:
        export(folder, "branch", data=data)
    assert '[inputs.x] shape = ["batch", "length", ...]' in (caught.value.hint or "")


def test_shapes_must_fit_the_samples(folder: Path) -> None:
    data = {"entry": "models.py:rows"}
    shapes = {"shapes": {"x": ["batch", 5], "mask": ["batch", 1]}}
    with pytest.raises(UsageError, match=r"shape of x is \[batch, 5\]"):
        export(folder, "several", data=data, input=shapes)


def test_an_axis_that_the_model_fixes_is_no_dynamic_one(folder: Path) -> None:
    shapes = {"shapes": {"x": ["batch", "width"]}}
    with pytest.raises(UsageError, match="'width' is to be of any size") as caught:
        export(folder, {"entry": "models.py:narrow"}, input=shapes)
    assert "the number 8" in (caught.value.hint or "")


def test_the_signature_says_what_pixels_and_answers_mean(folder: Path) -> None:
    output = {"kind": "classification"}
    result = export(folder, "cnn", input=IMAGE, output=output, export={"formats": ["torchscript"]})
    (pixels,), (scores,) = result.signature.inputs, result.signature.outputs
    assert (pixels.name, pixels.dtype, pixels.shape) == ("image", "uint8", (None, None, None, 3))
    assert "RGB pixels" in pixels.meaning
    assert (scores.name, scores.shape) == ("probabilities", (None, 5))
    assert "probabilities" in scores.meaning


@pytest.mark.parametrize(("activation", "warned"), [("auto", True), ("none", False)])
def test_a_second_softmax_is_told_of(folder: Path, activation: str, warned: bool) -> None:
    output = {"kind": "classification", "activation": activation}
    result = export(folder, "shares", input=ROWS, output=output)
    told = [text for text in result.report.warnings if "gives probabilities already" in text]
    assert bool(told) == warned


def test_a_buffer_that_forward_changes_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="its forward changes calls") as wrong:
        export(folder, "Counting", input=ROWS)
    assert "if self.training" in str(wrong.value.hint)


def test_an_output_that_is_always_empty_may_be_of_any_size(folder: Path) -> None:
    folder.mkdir()
    (folder / "none.py").write_text(
        "from torch import nn\n"
        "class Few(nn.Module):\n"
        "    def forward(self, x):\n"
        "        return x * 2, x[x > 1e9]\n"
    )
    result = export(folder, {"entry": "none.py:Few"}, input=ROWS)
    found = [(spec.shape, spec.batch_axis) for spec in result.signature.outputs]
    assert found == [((None, 4), 0), ((None,), None)]
