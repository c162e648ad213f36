"""Too few samples to tell: what verify says, and what strict makes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Cli, write_tiny
from tests.verify.verify_cases import Case, good, only_row

VERIFY = '[verify]\nsamples = 40\ndrift = false\nruntimes = ["onnxruntime"]\n'
ONNX = ('recipes = ["int8-static"]', 'recipes = ["onnx:int8-static"]')


def as_int8(case: Case, **verify: Any) -> dict[str, Any]:
    case.add(good(case), precision="int8", recipe="int8-static")
    return only_row(case.configured(verify=verify))


def test_enough_samples_settle_what_few_do_not(pictures: Case) -> None:
    """The artifact answers exactly as the reference; 268 samples show that to a point."""
    few = as_int8(pictures, samples=100)
    assert few["verdict"] == "inconclusive"
    assert few["reasons"] == []
    (why,) = few["open"]
    more = few["test"]["more_samples"]
    assert f"{more} more samples like these would settle it" in why
    assert f"[verify] samples = {100 + more}" in why
    assert as_int8(pictures, samples=100 + more)["verdict"] == "pass"


def test_a_wider_drop_needs_fewer(pictures: Case) -> None:
    wide = {"tolerances": {"int8": {"max_drop": 0.05}}}
    assert as_int8(pictures, samples=100, **wide)["verdict"] == "pass"


def test_a_regression_is_judged_by_the_bootstrap(table: Case) -> None:
    row = as_int8(table)
    assert row["verdict"] == "pass"
    assert row["test"]["method"] == "bootstrap"
    assert row["test"]["low"] == row["test"]["high"] == 0.0


@pytest.mark.slow
def test_inconclusive_goes_on_and_strict_does_not(tmp_path: Path, cli: Cli) -> None:
    formats = ("[train]", '[export]\nformats = ["onnx"]\n[train]')
    folder = write_tiny(tmp_path / "few", [formats, ONNX, ("[package]", f"{VERIFY}[package]")])
    done = cli("package", "-c", folder)
    assert done.returncode == 0, done.stderr
    assert "would settle it" in done.stdout + done.stderr
    bundle = next((folder / "runs" / "tiny" / "package").glob("*.bundle"))
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    words = {artifact["id"]: artifact["verdict"] for artifact in manifest["artifacts"]}
    assert words["onnx-fp32"] == "pass"
    assert words["onnx-int8-static"] == "inconclusive"
    assert manifest["verdict"] == "inconclusive"
    config = folder / "pipeline.toml"
    config.write_text(config.read_text().replace("drift = false", "drift = false\nstrict = true"))
    done = cli("package", "-c", folder)
    assert done.returncode == 1
    assert "The verdict is inconclusive" in done.stderr
    assert "onnx-int8-static in onnxruntime" in done.stderr
    assert "would settle it" in done.stderr


def test_tolerances_of_one_output(tokens: Case) -> None:
    """Bounds of one output leave the others as they are."""
    tokens.add(good(tokens))
    tight = {"outputs": {"mean": {"fp32": {"max_abs": 1e-9}}}}
    row = only_row(tokens.configured(verify=tight))
    bounds = {output["name"]: output["tolerances"]["max_abs"] for output in row["outputs"]}
    assert bounds["mean"] == 1e-9
    assert bounds["scores"] >= 1e-4


def test_an_output_that_does_not_exist(tokens: Case) -> None:
    from pipeline.errors import UsageError

    tokens.add(good(tokens))
    wrong = {"outputs": {"menu": {"fp32": {"max_abs": 1e-9}}}}
    with pytest.raises(UsageError, match="menu") as refused:
        tokens.configured(verify=wrong).verify()
    assert "mean" in f"{refused.value}{refused.value.hint}"


def test_samples_and_pictures_are_left_for_the_report(pictures: Case) -> None:
    from tests.verify.verify_cases import PICTURE, Flipped, traced

    pictures.add(good(pictures))
    pictures.add(
        traced(Flipped(pictures.model(), 1, output=True), PICTURE), precision="int8", recipe="int8"
    )
    found = pictures.verify()
    folder = pictures.folder / "verify"
    with np.load(folder / "samples.npz") as kept:
        assert kept["error"].shape == (2, 320)
        assert kept["row_class"].shape == kept["row_score"].shape == (2, 320)
        right = (kept["row_class"] == kept["target"]).mean(axis=1)
        assert [row["metric"] for row in found["rows"]] == pytest.approx(right, abs=1e-6)
        assert (kept["row_class"][0] == kept["reference_class"]).all()
        assert kept["histogram"].sum(axis=1).tolist() == [960, 960]
        differ = set(np.flatnonzero(kept["row_class"][1] != kept["reference_class"]).tolist())
    with np.load(folder / "pictures.npz") as pictured:
        numbers = {int(name.removeprefix("sample.")) for name in pictured.files}
        assert len(numbers) == 24
        assert numbers <= differ
        assert all(pictured[name].dtype == np.uint8 for name in pictured.files)
        assert all(pictured[name].shape == (8, 8, 3) for name in pictured.files)
