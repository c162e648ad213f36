"""`pipeline train --profile`: the parts of a step, and a trace."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli


@pytest.mark.slow
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.full), 2])
def test_the_parts_of_a_step(tiny: Path, cli: Cli, processes: int) -> None:
    many = ["--nproc-per-node", "2"] if processes == 2 else []
    done = cli("train", "-c", tiny, "--profile", *many, *([] if many else ["--json"]))
    assert done.returncode == 0, done.stderr
    folder = tiny / "runs" / "tiny" / "profile"
    found = json.loads((folder / "summary.json").read_text())
    if many:
        assert "backward" in done.stdout
        assert "communication" in done.stdout
        assert found["communication"]["ms"] > 0
        assert found["communication"]["exchanges"] >= 2  # the gradients and the loss
    else:
        assert json.loads(done.stdout) == found
        assert found["communication"] is None

    parts = {row["part"]: row for row in found["parts"]}
    assert list(parts) == ["data", "forward", "backward", "optimizer", "logging"]
    assert sum(row["ms"] for row in parts.values()) == pytest.approx(found["step_ms"])
    assert sum(row["share"] for row in parts.values()) == pytest.approx(1)
    assert found["processes"] == processes

    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    names = {event.get("name") for event in events}
    assert {f"step: {part}" for part in parts} <= names
    assert any("convolution_backward" in str(name) for name in names)
    assert any(str(name).startswith("gloo:") for name in names) == (processes == 2)
    # Nothing was trained, and nothing is left that a training would take up.
    assert not (folder.parent / "train").exists()
    assert not list((folder.parent / ".scratch").iterdir())
