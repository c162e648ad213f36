"""A Ray cluster for a test: a head and one more node of it, both on this machine."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

RAY = Path(sys.executable).with_name("ray")


@contextmanager
def ray_nodes(folder: Path) -> Iterator[str]:
    """Its address. A CPU on each of two nodes: a training with two workers needs both.

    Ray makes sockets in `folder`, whose paths may not be long. Skips where Ray is not installed.
    """
    if not RAY.exists():
        pytest.skip("Ray is not installed: pip install 'edge-pipeline[ray]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
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
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

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
