"""Training on a Ray cluster: a head and one more node of it, both on this machine."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import Cli

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RAY = Path(sys.executable).with_name("ray")


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address. A CPU on each of two nodes: a training with two workers needs both."""
    if not RAY.exists():
        pytest.skip("Ray is not installed: pip install 'edge-pipeline[ray]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # Ray makes sockets in it, whose paths may not be long.
    folder = tmp_path_factory.mktemp("r")
    port = address.rpartition(":")[2]
    head = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"]
    common = ["--num-cpus=1", "--num-gpus=0", "--object-store-memory=100000000", "--block"]
    common += ["--node-ip-address=127.0.0.1", "--disable-usage-stats"]
    nodes: list[subprocess.Popen[bytes]] = []
    with (folder / "log").open("wb") as log:
        try:
            for words in (head, [f"--address={address}"]):
                nodes.append(
                    subprocess.Popen(
                        [RAY, "start", *words, *common], stdout=log, stderr=subprocess.STDOUT
                    )
                )
                wait_for_nodes(address, len(nodes), nodes, folder / "log")
            yield address
        finally:
            for node in reversed(nodes):
                started = psutil.Process(node.pid)
                for process in [*started.children(recursive=True), started]:
                    process.kill()
                node.wait()


def wait_for_nodes(
    address: str, count: int, nodes: list["subprocess.Popen[bytes]"], log: Path
) -> None:
    from ray._raylet import GcsClient

    host, _, port = address.rpartition(":")
    while True:
        for node in nodes:
            assert node.poll() is None, log.read_text()
        try:
            with socket.create_connection((host, int(port)), timeout=1):
                pass
            alive = [
                one for one in GcsClient(address).get_all_node_info().values() if one.state == 0
            ]
        except (OSError, RuntimeError):
            alive = []
        if len(alive) >= count:
            return
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.full
def test_the_digits_on_a_cluster(cluster: str, tmp_path: Path, cli: Cli) -> None:
    words = ["--launcher", "ray", "--ray-address", cluster, "--nproc-per-node", "2"]
    words += ["--workspace", str(tmp_path / "ws"), "--set", "train.epochs=4"]
    # The test's own Python may import what its workers import.
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = cli("train", "-c", EXAMPLES / "digits", *words, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "on 2 processes" in said
    summary = json.loads((tmp_path / "ws" / "train" / "train.json").read_text())
    assert summary["trained_epochs"] == 4
    assert summary["metric"]["value"] > 0.9
    assert (tmp_path / "ws" / "train" / "weights.safetensors").stat().st_size > 10_000
    assert not (tmp_path / "ws" / ".ray").exists()
