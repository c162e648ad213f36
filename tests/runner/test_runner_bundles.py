"""The C++ reader refuses what Python's refuses, with the same code."""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.runner.program import program

HERE = Path(__file__).resolve().parents[1]
GOLDEN = HERE / "golden" / "bundle-v1"
DAMAGED = 4


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bad_bundles", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bad_bundles = load_script(HERE / "bad-bundles" / "make.py")


def edge_runner(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(), *words], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("case", bad_bundles.load_cases(), ids=lambda case: case["name"])
def test_same_code_as_python(case: dict[str, Any], tmp_path: Path) -> None:
    done = edge_runner("verify", bad_bundles.build(case, tmp_path), "--json")
    found = json.loads(done.stdout)
    if case["code"] is None:
        assert "rows" in found, done.stderr
    else:
        assert found["error"]["code"] == case["code"], found["error"]["message"]
        assert done.returncode == DAMAGED
        assert done.stderr.count("\n") == 1


@pytest.mark.locked_torch
def test_it_verifies_the_frozen_bundle() -> None:
    done = edge_runner("verify", GOLDEN, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (0, "pass"), done.stderr
    manifest = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    assert [row["artifact"] for row in found["rows"]] == [a["id"] for a in manifest["artifacts"]]
    assert {row["verdict"] for row in found["rows"]} == {"pass"}
