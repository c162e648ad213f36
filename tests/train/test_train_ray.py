"""Training on a Ray cluster: a head and one more node of it, both on this machine."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.ray_nodes import ray_nodes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.full
def test_the_digits_on_a_cluster(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, cli: Cli
) -> None:
    words = ["--launcher", "ray", "--nproc-per-node", "2"]
    words += ["--workspace", str(tmp_path / "ws"), "--set", "train.epochs=4"]
    # The test's own Python may import what its workers import.
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ray_nodes(tmp_path_factory.mktemp("r")) as address:
        words += ["--ray-address", address]
        done = cli("train", "-c", EXAMPLES / "digits", *words, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "on 2 processes" in said
    summary = json.loads((tmp_path / "ws" / "train" / "train.json").read_text())
    assert summary["trained_epochs"] == 4
    assert summary["metric"]["value"] > 0.9
    assert (tmp_path / "ws" / "train" / "weights.safetensors").stat().st_size > 10_000
    assert not (tmp_path / "ws" / ".ray").exists()
