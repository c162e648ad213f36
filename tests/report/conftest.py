"""A run of the tiny project, once for all tests of the report."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.workspace.artifacts import read_json, write_json
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.drift import drift_file
from tests import results
from tests.conftest import Cli, write_tiny


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """The project's folder, every stage done."""
    folder = write_tiny(tmp_path_factory.mktemp("report") / "tiny")
    done = cli("run", "-c", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def evident(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of its workspace that has everything that a report can show."""
    workspace = tmp_path_factory.mktemp("evident") / "tiny"
    shutil.copytree(ran / "runs" / "tiny", workspace)
    verify = workspace / "verify"
    add_evidence(verify, len(read_json(verify / "verdict.json")["rows"]))
    return workspace


@pytest.fixture(scope="session")
def bare(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of its workspace in which verify left its verdict alone."""
    workspace = tmp_path_factory.mktemp("bare") / "tiny"
    shutil.copytree(ran / "runs" / "tiny", workspace)
    for pattern in ("*.npz", "drift.*.json"):
        for path in (workspace / "verify").glob(pattern):
            path.unlink()
    return workspace


def add_evidence(verify: Path, rows: int, samples: int = 96) -> None:
    """What docs/parity.md says that verify leaves: sample 5 is mistaken by the last row, and a
    layer of onnx-int8-static is bad."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, samples)
    answered = np.tile(target, (rows, 1))
    answered[-1, 5] = 1 - target[5]
    edges = 10.0 ** np.linspace(-12, 3, 61)
    np.savez(
        verify / "samples.npz",
        error=rng.random((rows, samples)),
        histogram=rng.integers(0, 50, (rows, 60)),
        histogram_edges=edges,
        target=target,
        reference_class=target,
        row_class=answered,
        reference_score=np.full(samples, 0.9),
        row_score=np.full((rows, samples), 0.6),
    )
    picture = rng.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    np.savez(verify / "pictures.npz", **{"sample.5": picture})  # type: ignore[arg-type]
    layers = [
        results.layer_row(name=name, sqnr_db=db, verdict="pass" if db > 10 else "fail")
        for name, db in (("first", 40.0), ("second", 3.0), ("third", 12.0))
    ]
    remedy = '[quantize] exclude = ["second"]'
    drift = results.drift(layers, first_bad=1, culprits=[1], remedy=remedy)
    write_result(verify / drift_file(drift.artifact), drift)
    verdict = read_json(verify / "verdict.json")
    write_json(verify / "verdict.json", verdict | {"labels": ["upright", "<lying>"]})
