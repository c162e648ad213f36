"""The stage on good artifacts of each kind of task, and what it says of how it judged."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
import torch

from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.system.machine import made_for
from pipeline.workspace.results.verdict import VERDICT
from tests.verify.verify_cases import PICTURE, SENTENCES, Case, Flipped, as_onnx, good, traced


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
        "verdict": "pass", "samples": 320, "synthetic": False, "rows": 2, "failing": 0,
        "inconclusive": 0,
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


def test_regression(table: Case) -> None:
    table.add(good(table))
    found = table.verify()
    assert found["verdict"] == "pass", found["rows"]
    assert found["metric"]["goal"] == "min"
    (row,) = found["rows"]
    assert row["top1"] is None
    assert row["tolerances"]["max_abs"] > 1e-3  # the answers are tens


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


def test_an_edge_that_the_model_itself_refuses(tokens: Case) -> None:
    code = tokens.folder / "parts.py"
    text = code.read_text(encoding="utf-8")
    refusal = '        if ids.shape[1] != 5: raise ValueError("five tokens, please")\n'
    marker = "    def forward(self, ids, mask):\n"
    code.write_text(text.replace(marker, marker + refusal), encoding="utf-8")
    tokens.add(traced(tokens.model(), torch.ones(2, 5, dtype=torch.long), SENTENCES[1][:, [0] * 5]))
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
    assert found["warnings"] == ["The validation set has 40 samples; verify.samples asks for 320."]


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
    from pipeline.config.file import parse_config

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
