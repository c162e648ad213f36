"""What the page says, from evidence that is known."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import open_bundle
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.report.evidence import gather
from pipeline.report.page import headline, page_of
from pipeline.report.samples import confused, confusion
from pipeline.report.tradeoff import front
from pipeline.workspace.artifacts import read_json, write_json
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.bench import BENCH
from pipeline.workspace.results.quantize import Point
from pipeline.workspace.results.verdict import VERDICT
from tests.conftest import Cli
from tests.results import verdict, verdict_row

GOLDEN = Path(__file__).parents[1] / "golden" / "results"
ROW, FAILED = verdict_row(), verdict_row(verdict="fail")


def test_the_verdict_in_one_sentence() -> None:
    assert headline(None) == "Nothing has been verified yet."
    assert headline(verdict([ROW])) == (
        "The one row answers as eager PyTorch does, on 96 validation samples and on edge inputs."
    )
    rows = [ROW, verdict_row(verdict="inconclusive")]
    sentence = headline(verdict(rows, verdict="inconclusive"))
    assert sentence.startswith("1 of 2 rows is undecided on 96 validation samples: onnx-fp32")
    sentence = headline(verdict([*rows, FAILED], verdict="fail"))
    assert sentence == "1 of 3 rows fails on 96 validation samples: onnx-fp32 in onnxruntime."


def test_two_phones_are_two_places() -> None:
    phone = verdict_row(verdict="fail", device="Google Pixel 8, Android 15")
    assert headline(verdict([phone], verdict="fail")).endswith(
        "onnx-fp32 in onnxruntime · Google Pixel 8, Android 15."
    )


def point(name: str, score: float, ms: float, size: int, passed: bool = True) -> Point:
    return Point(
        name=name,
        group="artifact",
        score=score,
        latency_ms=ms,
        bytes=size,
        passed=passed,
        chosen=False,
    )


def test_the_front_is_what_nothing_beats() -> None:
    points = [
        point("exact", 0.99, 3.0, 400),
        point("small", 0.98, 1.0, 100),
        point("beaten", 0.97, 1.5, 100),
        point("twin", 0.98, 1.0, 100),
        point("failed", 1.0, 0.1, 1, passed=False),
    ]
    assert front(points, "max") == {"exact", "small", "twin"}
    assert front(points, "min") == {"beaten", "small", "twin"}  # the score is an error then


def test_confusion_counts_and_names() -> None:
    matrix = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, -1]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confused(matrix, ["a", "b", "c"]) == [("a", "b", 1)]


@pytest.mark.slow
def test_the_page_says_what_the_stages_found(ran: Path, bare: Path) -> None:
    config, workspace = load_config(ran), Workspace(bare)
    before = page_of(config, workspace)
    assert "no confusion matrix and no pictures" in before  # it says what it does not have
    assert "it was verified without drift" in before
    found = gather(workspace)
    assert found.verdict is not None and found.bench is not None
    for measured in found.bench.rows:
        assert f"{measured.p90_ms:.3f}" in before
    for judged in found.verdict.rows:
        assert judged.artifact in before
    (bundle,) = workspace.stage("package").glob("*.bundle")
    first = open_bundle(bundle).manifest.artifacts[0].id  # which one, the measurement decides
    assert found.chosen == first
    assert f'{first} <span class="quiet">(chosen)' in before
    assert ("Void." in before) == found.bench.void
    assert str(ran) not in before  # no path of this machine
    assert not re.search(r"(src|href)=\"(?!#|data:)", before)  # nothing from elsewhere


def test_what_another_version_wrote_is_said_and_not_shown(tmp_path: Path) -> None:
    """A bench.json of before there was a control measured otherwise: its figures say nothing."""
    workspace = Workspace(tmp_path / "runs" / "tiny")
    for stage, file in (("verify", VERDICT), ("bench", BENCH)):
        workspace.stage(stage).mkdir(parents=True)
        shutil.copy(GOLDEN / file, workspace.stage(stage) / file)
    whole = page_of(config(), workspace)
    assert "Another version" not in whole and "Speed and memory" in whole
    path = workspace.stage("bench") / BENCH
    old = read_json(path)
    del old["control"]
    write_json(path, old)
    page = page_of(config(), workspace)
    assert "Another version of this program wrote bench/bench.json" in page
    assert "Speed and memory" not in page and "Parity with eager PyTorch" in page


def config() -> Config:
    return Config.model_validate({"name": "tiny", "model": {"onnx": "m.onnx"}})


@pytest.mark.slow
def test_samples_drift_and_pictures_are_shown(ran: Path, evident: Path) -> None:
    page = page_of(load_config(ran), Workspace(evident))
    assert "data:image/png;base64," in page
    assert "sample 5" in page
    assert "&lt;lying&gt;" in page and "<lying>" not in page  # labels are text, wherever they stand
    assert "the first bad one is second" in page
    assert "[quantize] exclude = [&#34;second&#34;]" in page
    assert "Errors: how they are distributed" in page
    assert "Confusion: eager PyTorch" in page


@pytest.mark.slow
def test_two_runs_side_by_side(ran: Path, cli: Cli) -> None:
    done = cli("report", "-c", ran, "--compare", "tiny", "--json")
    assert done.returncode == 0, done.stderr
    page = (ran / "runs" / "tiny" / "comparison" / "index.html").read_text("utf-8")
    assert page.count("the same file") >= 4
    assert "pass</span> → <span" in page
    done = cli("report", "-c", ran, "--compare", "nothing")
    assert done.returncode == 2
    assert "There is no run nothing" in done.stderr
