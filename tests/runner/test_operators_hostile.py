"""Hostile arguments do not end the process: a search with a bound, over every operator listed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.hostile_operators import GUARDED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 240


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """guarded_memory.c, to be preloaded."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("guard") / "guarded_memory.so"
    source = HERE / "guarded_memory.c"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


def hunted(guard: Path, seconds: int, *names: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.runner.hostile_operators", "--seconds", str(seconds), *names],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(guard)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.full
def test_the_search_finds_what_is_known_to_crash(guard: Path) -> None:
    *found, counts = hunted(guard, 60, "aten::_weight_norm_interface", "aten::relu")
    assert {one["operator"] for one in found} == {"aten::_weight_norm_interface"}
    assert counts["passed"]


@pytest.mark.full
def test_no_operator_of_the_list_ends_the_process(guard: Path) -> None:
    """Some that models need do; the runner puts checks before those."""
    *found, counts = hunted(guard, SECONDS)
    assert counts["passed"]
    assert [one for one in found if one["operator"] not in GUARDED] == []
