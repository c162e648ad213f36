"""Results are read as strictly as they are written: whole, or an error that names file and key."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DamagedError, OutdatedError
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.base import Result, read_if_there, read_result, write_result
from pipeline.workspace.results.bench import BENCH, Bench
from pipeline.workspace.results.drift import Drift
from pipeline.workspace.results.quantize import QUANTIZE, Quantization
from pipeline.workspace.results.record import RECORD, Record
from pipeline.workspace.results.train import TRAIN, Training, TrainingMetric
from pipeline.workspace.results.verdict import VERDICT, CompatibilityRow, Verdict, worst
from tests.results import verdict, verdict_row

BEFORE = Path(__file__).parents[1] / "golden" / "results"
TRAINING = Training(
    epochs=3,
    seed=0,
    torch="2.15.0",
    device="cpu",
    device_name="",
    threads=1,
    amp="off",
    parameters=12,
    trained_epochs=3,
    weights="weights.safetensors",
    metric=TrainingMetric(name="Accuracy", goal="max", value=0.1 + 0.2),
    validation_samples=360,
)
WITHOUT_SUMMARY = {"stage": "verify", "key": "0", "ingredients": {}, "files": {}, "seconds": 1.0}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write_result(tmp_path / TRAIN, TRAINING)
    first = (tmp_path / TRAIN).read_bytes()
    assert read_result(tmp_path / TRAIN, Training) == TRAINING
    assert b"0.30000000000000004" in first  # in full
    assert list(json.loads(first)) == sorted(json.loads(first))
    write_result(tmp_path / TRAIN, read_result(tmp_path / TRAIN, Training))
    assert (tmp_path / TRAIN).read_bytes() == first


def test_a_number_that_is_not_finite_is_null(tmp_path: Path) -> None:
    metric = TrainingMetric(name="Accuracy", goal="max", value=float("nan"))
    write_result(tmp_path / TRAIN, TRAINING.model_copy(update={"metric": metric}))
    found = read_result(tmp_path / TRAIN, Training)
    assert found.metric is not None and found.metric.value is None


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"epochs": "3"}, "epochs"),  # no text for a number
        ({"more": 1}, "more"),
        ({"metric": {"name": "Accuracy", "goal": "most", "value": 1.0}}, "metric.goal"),
    ],
)
def test_what_does_not_fit_names_file_and_key(
    tmp_path: Path, change: dict[str, object], key: str
) -> None:
    path = tmp_path / TRAIN
    path.write_text(json.dumps(TRAINING.to_json() | change), encoding="utf-8")
    with pytest.raises(OutdatedError, match=f"another version of this program: {key}: ") as error:
        read_result(path, Training)
    assert str(path) in error.value.message


def test_what_is_no_json_or_missing_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / TRAIN
    assert read_if_there(path, Training) is None
    with pytest.raises(DamagedError, match="is missing"):
        read_result(path, Training)
    path.write_bytes(b'{"epochs": 3')
    with pytest.raises(DamagedError, match="is not valid JSON") as error:
        read_result(path, Training)
    assert not isinstance(error.value, OutdatedError)


def test_a_stage_of_another_version_is_stale(tmp_path: Path) -> None:
    """Its record may lack what this version writes: nobody can say what it was made of."""
    folder = tmp_path / "verify"
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps(WITHOUT_SUMMARY), encoding="utf-8")
    state = Workspace(tmp_path).status("verify", {})
    assert (state.state, state.why) == ("stale", ("another version of this program made it",))
    (folder / RECORD).write_text("{", encoding="utf-8")
    assert Workspace(tmp_path).status("verify", {}).state == "damaged"


@pytest.mark.parametrize(
    ("file", "model"),
    [
        (RECORD, Record),
        (TRAIN, Training),
        (VERDICT, Verdict),
        (BENCH, Bench),
        ("drift.json", Drift),
        (QUANTIZE, Quantization),
    ],
)
def test_what_was_written_before_there_were_models_is_read(file: str, model: type[Result]) -> None:
    """Every value as it stands in the file; what has come since is not there."""
    found = read_result(BEFORE / file, model).to_json()
    data = json.loads((BEFORE / file).read_text(encoding="utf-8"))
    assert _as_before(found, data) == data


def _as_before(found: Any, data: Any) -> Any:
    """Without keys that the file does not have, which must say nothing."""
    if isinstance(data, list):
        return [_as_before(one, old) for one, old in zip(found, data, strict=True)]
    if not isinstance(data, dict):
        return found
    assert not any(found[key] for key in found.keys() - data.keys())
    return {key: _as_before(found[key], old) for key, old in data.items()}


def test_every_row_counts_and_the_targets_that_are_named() -> None:
    """So that rows of a phone, which are added later, leave a target's failure in the verdict."""
    targets = [
        CompatibilityRow(
            artifact="onnx-fp32",
            format="onnx",
            target=f"target-{judged}",
            needs={"opset": 18},
            found={"opset": 19},
            verdict="fail",
            reasons=["opset 19"],
            judged=judged,
        )
        for judged in (True, False)
    ]
    asked = verdict([verdict_row(device="a phone")], compatibility=targets)
    assert [row.where for row in asked.judged] == ["onnxruntime · a phone", "target-True"]
    assert worst(row.verdict for row in asked.judged) == "fail"
    unasked = verdict([verdict_row()], compatibility=targets[1:])
    assert worst(row.verdict for row in unasked.judged) == "pass"
