"""The search as a user meets it: quantize, status, --explain."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli, write_tiny

pytestmark = pytest.mark.slow

SEARCH = ('recipes = ["int8-static"]', 'recipes = ["onnx:auto"]\nmax_drop = 0.0')
ONNX = ("[train]", '[export]\nformats = ["onnx"]\n[train]')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    folder = write_tiny(tmp_path_factory.mktemp("searched") / "tiny", [SEARCH, ONNX])
    done = cli("quantize", "-c", folder)
    assert done.returncode == 0, done.stderr
    assert "onnx for " in done.stdout and " ships" in done.stdout
    return folder


def test_status_says_what_ships_and_why(folder: Path, cli: Cli) -> None:
    shown = json.loads(cli("status", "-c", folder, "--json").stdout)
    (why,) = shown["quantize"].values()
    record = json.loads((folder / "runs/tiny/quantize/quantize.json").read_text())
    assert why == record["searches"][0]["why"]
    assert " ships" in cli("status", "-c", folder).stdout


def test_explain_shows_layers_and_makes_nothing(folder: Path, cli: Cli) -> None:
    before = (folder / "runs/tiny/quantize/record.json").read_bytes()
    (found,) = json.loads(cli("quantize", "-c", folder, "--explain", "--json").stdout)["formats"]
    ranking = [one["sqnr_db"] for one in found["sensitivity"] if one["sqnr_db"] is not None]
    assert ranking == sorted(ranking) and ranking
    assert found["all_sqnr_db"] is not None
    assert (folder / "runs/tiny/quantize/record.json").read_bytes() == before


def test_the_manifest_says_why_float_ships(folder: Path, cli: Cli) -> None:
    done = cli("package", "-c", folder, "--set", "quantize.budget_minutes=1e-6", "--json")
    assert done.returncode == 0, done.stderr
    bundle = Path(json.loads(done.stdout)["bundle"])
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert [artifact["precision"] for artifact in manifest["artifacts"]] == ["fp32"]
    assert "onnx for " in manifest["description"] and "is float: " in manifest["description"]
    assert "is float: " in (bundle / "README.md").read_text()
