"""A change of this program's own source makes those stages stale that import what changed."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.run import own_code
from pipeline.workspace.stage import STAGES

run = importlib.import_module("pipeline.run")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, which stands for the one that runs."""
    unneeded = shutil.ignore_patterns("__pycache__")
    copy = Path(shutil.copytree(run.HOME, tmp_path / "pipeline", ignore=unneeded))
    monkeypatch.setattr(run, "HOME", copy)
    return copy


def changed(before: dict[str, dict[str, str]]) -> set[str]:
    return {stage for stage in STAGES if own_code(stage) != before[stage]}


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("errors.py", set(STAGES)),
        ("train/optim.py", {"train"}),
        ("measure/timing/loop.py", {"quantize", "bench"}),
        ("package/card.py", {"package"}),
        ("quantize/onnx/int8_static.py", {"quantize"}),  # named in a table, imported on demand
        ("cli/tables.py", set()),
        ("report/page.py", set()),
        ("verify/drift/plot.py", set()),  # of `pipeline drift`, which is no stage
        ("run.py", set()),
    ],
)
def test_the_stages_that_import_a_file_go_stale(package: Path, file: str, stages: set[str]) -> None:
    before = {stage: own_code(stage) for stage in STAGES}
    with (package / file).open("a") as source:
        source.write("\n# changed\n")
    assert changed(before) == stages


def test_a_new_import_counts(package: Path) -> None:
    before = {stage: own_code(stage) for stage in STAGES}
    (package / "report" / "extra.py").write_text("X = 1\n")
    assert changed(before) == set()
    with (package / "package" / "card.py").open("a") as source:
        source.write("\ndef later():\n    from pipeline.report.extra import X\n    return X\n")
    assert "report/extra.py" in own_code("package")


def test_data_beside_a_module_counts_where_it_is_named(package: Path) -> None:
    before = {stage: own_code(stage) for stage in STAGES}
    (package / "package" / "words.txt").write_text("one")
    assert changed(before) == set()
    with (package / "package" / "card.py").open("a") as source:
        source.write('\nWORDS = "words.txt"\n')
    named = own_code("package")
    (package / "package" / "words.txt").write_text("two")
    assert own_code("package") != named


def test_all_that_a_stage_loads_is_among_the_computed_files() -> None:
    for stage in STAGES:
        loaded_names = "[name for name in sys.modules if name.startswith('pipeline.')]"
        code = f"import sys, pipeline.{stage}; print(*{loaded_names})"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
        )
        loaded = {Path(*name.split(".")[1:]) for name in done.stdout.split()}
        computed = {Path(name).with_suffix("") for name in own_code(stage)}
        computed |= {path.parent for path in computed if path.name == "__init__"}
        assert loaded <= computed, loaded - computed
