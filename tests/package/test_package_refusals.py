"""What package refuses, what it packs on demand, and what it says."""

from pathlib import Path

import pytest

from pipeline.bundle import open_bundle
from pipeline.errors import DamagedError, UsageError, VerdictError
from pipeline.package.stage import CARD
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_index, read_json, write_index, write_json
from tests.package.conftest import Made, contents

# The verdict


def failing(made: Made, artifact_id: str) -> None:
    verdict = made.verdict
    for row in verdict["rows"]:
        if row["artifact"] == artifact_id:
            said = f"cannot be opened: '{made.folder}/model.onnx' is no model"
            row |= {"verdict": "fail", "reasons": [said], "max_abs": float("nan")}
    made.write_verdict({**verdict, "verdict": "fail"})


def test_a_failed_verdict_is_refused(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    with pytest.raises(VerdictError, match="onnx-fp32 in onnxruntime: cannot be opened") as refused:
        made.pack(tmp_path / "out")
    assert refused.value.exit_code == 1
    assert "--allow-failed" in (refused.value.hint or "")
    assert not (tmp_path / "out" / "tiny.bundle").exists()


def test_a_failed_verdict_is_packed_on_demand_and_says_so(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    bundle = made.with_package(allow_failed=True).pack(tmp_path / "out")
    manifest = open_bundle(bundle).manifest
    assert manifest.allow_failed
    assert manifest.verdict == "fail"
    artifact = open_bundle(bundle).artifact("onnx-fp32")
    assert artifact.verdict == "fail"
    assert artifact.results[0].reasons == ("cannot be opened: 'model.onnx' is no model",)
    assert artifact.results[0].max_abs is None
    card = (bundle / "README.md").read_text()
    assert "**Verdict: fail.**" in card
    assert "cannot be opened" in card


def test_allowing_failures_changes_nothing_where_there_is_none(
    made: Made, bundle: Path, tmp_path: Path
) -> None:
    allowed = made.with_package(allow_failed=True).pack(tmp_path / "out")
    assert contents(allowed) == contents(bundle)


def test_a_failed_row_is_refused_whatever_the_verdict(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    made.write_verdict({**made.verdict, "verdict": "pass"})
    with pytest.raises(VerdictError, match="onnx-fp32 in onnxruntime"):
        made.pack(tmp_path / "out")


def test_an_artifact_that_nobody_ran_is_refused(made: Made, tmp_path: Path) -> None:
    rows = [row for row in made.verdict["rows"] if row["artifact"] != "torchscript-fp32"]
    made.write_verdict({**made.verdict, "rows": rows})
    with pytest.raises(VerdictError, match="torchscript-fp32: no runtime has run it"):
        made.pack(tmp_path / "out")
    manifest = open_bundle(made.with_package(allow_failed=True).pack(tmp_path / "all")).manifest
    assert manifest.allow_failed
    assert {a.id: a.verdict for a in manifest.artifacts} == {
        "onnx-fp32": "pass",
        "torchscript-fp32": "inconclusive",
    }


def test_nothing_to_pack(made: Made, tmp_path: Path) -> None:
    write_index(made.inputs["export"], [])
    with pytest.raises(UsageError, match="no artifact to pack"):
        made.pack(tmp_path / "out")


def test_what_would_fail_in_a_readers_hands_is_not_packed(made: Made, tmp_path: Path) -> None:
    """The verdict says pass, but answers to the golden samples are not within its tolerances."""
    verdict = made.verdict
    for row in verdict["rows"]:
        if row["artifact"] == "onnx-fp32":
            row["outputs"][0]["tolerances"]["max_abs"] = 1e-30
    made.write_verdict(verdict)
    with pytest.raises(
        VerdictError, match=r"onnx-fp32 in onnxruntime: .* largest error"
    ) as refused:
        made.pack(tmp_path / "out")
    assert "[package] golden" in (refused.value.hint or "")
    report = Silent()
    bundle = made.with_package(allow_failed=True).pack(tmp_path / "all", report)
    assert open_bundle(bundle).manifest.verdict == "pass"
    assert "On the golden samples alone" in report.warnings[0]


# What comes first


def measured(made: Made, void: bool = False, **p50_ms: float) -> None:
    """Rows of bench for `onnx` and `torchscript`, without an error."""
    bench = read_json(made.inputs["bench"] / "bench.json")
    for row in bench["rows"]:
        row |= {"p50_ms": p50_ms[row["artifact"].partition("-")[0]], "error": None}
    write_json(made.inputs["bench"] / "bench.json", bench | {"void": void})


def void_by(made: Made, ratio: float) -> None:
    """The control was so many times as long as itself."""
    bench = read_json(made.inputs["bench"] / "bench.json")
    interval = {"ratio": ratio, "low": ratio - 0.01, "high": ratio + 0.01}
    control = bench["control"] | {"ratio": interval}
    write_json(made.inputs["bench"] / "bench.json", bench | {"void": True, "control": control})


def packed(made: Made, out: Path) -> tuple[list[str], list[str], str, str]:
    """The artifacts in their order, the warnings, the bundle's page and the card beside it."""
    bundle = made.pack(out, report := Silent())
    ids = [artifact.id for artifact in open_bundle(bundle).manifest.artifacts]
    return ids, report.warnings, (bundle / "README.md").read_text(), (out / CARD).read_text()


def test_the_fastest_comes_first(made: Made, tmp_path: Path) -> None:
    measured(made, onnx=1.0, torchscript=0.5)
    ids, warnings, page, card = packed(made, tmp_path / "out")
    assert ids == ["torchscript-fp32", "onnx-fp32"]
    assert warnings == []
    assert "**torchscript-fp32 ships first**, since no other that passed was measurably" in page
    assert "0.5 ms" not in page
    assert ": 0.5 ms (p50 in torchscript), " in card
    measured(made, onnx=1.0, torchscript=0.97)
    assert packed(made, tmp_path / "nearly")[0] == ["onnx-fp32", "torchscript-fp32"]


def test_a_void_measurement_orders_what_differs_by_more_than_it_was_off(
    made: Made, tmp_path: Path
) -> None:
    measured(made, onnx=1.0, torchscript=0.5)
    void_by(made, 1.2)
    ids, warnings, _, card = packed(made, tmp_path / "clear")
    assert ids == ["torchscript-fp32", "onnx-fp32"]
    assert warnings == []
    assert "0.5 ms (p50 in torchscript) in a void measurement" in card
    measured(made, onnx=1.0, torchscript=0.85)
    void_by(made, 1.2)
    assert packed(made, tmp_path / "near")[0] == ["onnx-fp32", "torchscript-fp32"]
    void_by(made, 0.9)  # the other way round is as far off
    assert packed(made, tmp_path / "nearer")[0] == ["onnx-fp32", "torchscript-fp32"]
    void_by(made, 0.98)
    assert packed(made, tmp_path / "clearer")[0] == ["torchscript-fp32", "onnx-fp32"]


def test_a_void_measurement_without_a_control_orders_nothing_and_it_is_said(
    made: Made, tmp_path: Path
) -> None:
    measured(made, void=True, onnx=1.0, torchscript=0.5)
    ids, warnings, page, card = packed(made, tmp_path / "out")
    assert ids == ["onnx-fp32", "torchscript-fp32"]
    [said] = warnings
    assert "onnx-fp32 comes first in the bundle by rule, since the measurement is void" in said
    assert "torchscript-fp32 was faster in it: pipeline bench --force" in said
    assert "**onnx-fp32 ships first**, by rule" in page
    assert "1 ms (p50 in onnxruntime) in a void measurement" in card
    assert "while torchscript-fp32 takes 0.5 ms" in card


def test_without_a_measurement_the_rule_decides_and_it_is_said(made: Made, tmp_path: Path) -> None:
    bench = read_json(made.inputs["bench"] / "bench.json")
    write_json(made.inputs["bench"] / "bench.json", bench | {"rows": []})
    ids, [said], _, card = packed(made, tmp_path / "out")
    assert ids == ["onnx-fp32", "torchscript-fp32"]
    assert "by rule, since it was not measured here" in said
    assert "no time measured here" in card


def test_the_fastest_that_failed_does_not_come_first(made: Made, tmp_path: Path) -> None:
    measured(made, onnx=0.1, torchscript=0.5)
    failing(made, "onnx-fp32")
    ids, *_ = packed(made.with_package(allow_failed=True), tmp_path / "out")
    assert ids == ["torchscript-fp32", "onnx-fp32"]


def test_the_configuration_names_what_comes_first(made: Made, tmp_path: Path) -> None:
    measured(made, onnx=0.1, torchscript=0.5)
    pinned = made.with_package(first="torchscript-fp32")
    ids, warnings, page, card = packed(pinned, tmp_path / "out")
    assert ids == ["torchscript-fp32", "onnx-fp32"]
    assert warnings == []
    assert "**torchscript-fp32 ships first**, as the project's configuration says" in page
    assert "while onnx-fp32 takes 0.1 ms" in card
    with pytest.raises(UsageError, match="There are: onnx-fp32, torchscript-fp32"):
        made.with_package(first="onnx-int8").pack(tmp_path / "unknown")


# Wrong input


def test_a_changed_artifact_is_refused(made: Made, tmp_path: Path) -> None:
    path = made.inputs["export"] / "model.fp32.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DamagedError, match=r"model\.fp32\.onnx is not the file"):
        made.pack(tmp_path / "out")


@pytest.mark.parametrize(
    ("recipe", "precision", "place"), [("fp16", "fp16", 2), ("int8-static", "int8", 0)]
)
def test_artifacts_stand_in_the_order_of_preference(
    made: Made, tmp_path: Path, recipe: str, precision: str, place: int
) -> None:
    """Of the rule, where no measurement decides."""
    bench = read_json(made.inputs["bench"] / "bench.json")
    write_json(made.inputs["bench"] / "bench.json", bench | {"rows": []})
    onnx = next(a for a in read_index(made.inputs["export"]) if a.format == "onnx")
    file = f"model.{recipe}.onnx"
    (made.inputs["quantize"] / file).write_bytes((made.inputs["export"] / onnx.file).read_bytes())
    changes = {"id": "onnx-q", "precision": precision, "recipe": recipe, "file": file}
    write_index(made.inputs["quantize"], [type(onnx)(**{**vars(onnx), **changes})])
    verdict = made.verdict
    row = next(row for row in verdict["rows"] if row["artifact"] == "onnx-fp32")
    verdict["rows"].append({**row, "artifact": "onnx-q"})
    made.write_verdict(verdict)
    manifest = open_bundle(made.pack(tmp_path / "out")).manifest
    ids = ["onnx-fp32", "torchscript-fp32"]
    ids.insert(place, "onnx-q")
    assert [artifact.id for artifact in manifest.artifacts] == ids
    assert manifest.artifacts[place].file == f"artifacts/{file}"
    assert manifest.artifacts[place].recipe == recipe


def test_more_golden_samples_than_fit(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"package\.golden is 600; a bundle has room for 508"):
        made.with_package(golden=600).pack(tmp_path / "out")


def test_fewer_samples_than_asked_for(made: Made, tmp_path: Path) -> None:
    bundle = open_bundle(made.with_package(golden=120).pack(tmp_path / "out"))
    assert len(bundle.manifest.golden) == 96  # all that the validation set has


@pytest.mark.parametrize("labels", [("one", "two\nlines"), ("one", "two", "three"), ("one", " ")])
def test_labels_that_do_not_fit(made: Made, tmp_path: Path, labels: tuple[str, ...]) -> None:
    output = made.config.output.model_copy(update={"labels": labels})
    wrong = Made(made.config.model_copy(update={"output": output}), made.folder)
    with pytest.raises(UsageError, match=r"output\.labels"):
        wrong.pack(tmp_path / "out")


def test_a_description_cannot_break_the_card(made: Made, tmp_path: Path) -> None:
    odd = made.with_package(description="a | b\n# no title\n<b>`x`</b>", license="[x](y)")
    bundle = odd.pack(tmp_path / "out")
    assert open_bundle(bundle).manifest.description == "a | b\n# no title\n<b>`x`</b>"
    card = (bundle / "README.md").read_text()
    assert "\n# no title" not in card
    assert "<b>" not in card.replace("\\<b", "")
    assert r"\[x\](y)" in card
