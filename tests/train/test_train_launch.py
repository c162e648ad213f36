"""What starts a training: srun's and PyTorchJob's variables, torchrun's agent, two hosts."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.errors import SetupError
from pipeline.train.world import in_environment
from tests.conftest import Cli, alive, write_tiny

SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_JOB_ID": "4711",
}
LONG = [("epochs = 6", "epochs = 40\ncheckpoint_every = 2\ntimeout = 60")]


@pytest.mark.parametrize(
    ("nodes", "head"),
    [
        ("gpu[01-04,7]", "gpu01"),
        ("gpu[3,5]", "gpu3"),
        ("a,b", "a"),
        ("alone", "alone"),
        ("rack[1-2].cluster.example", "rack1.cluster.example"),
        ("x7,gpu[01-04]", "x7"),
    ],
)
def test_slurm_gives_a_rank(nodes: str, head: str) -> None:
    assert in_environment({**SRUN, "SLURM_STEP_NODELIST": nodes}) == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": head,
        "MASTER_PORT": "24711",
    }


def test_a_task_alone_is_no_world() -> None:
    assert in_environment({**SRUN, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}) is None
    assert in_environment({}) is None


def test_a_pytorchjob_gives_a_rank() -> None:
    """Its operator sets these four in each pod, one process a pod unless it says more."""
    job = {"RANK": "2", "WORLD_SIZE": "3", "MASTER_ADDR": "digits-master-0", "MASTER_PORT": "23456"}
    expected = {**job, "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    assert in_environment({**job, "PET_NNODES": "3"}) == expected
    # Inside of a Slurm allocation what is set by hand counts.
    assert in_environment({**SRUN, **job}) == expected
    with pytest.raises(SetupError, match="MASTER_ADDR and MASTER_PORT not"):
        in_environment({"RANK": "2", "WORLD_SIZE": "3"})


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def train(
    folder: Path,
    *words: str,
    env: dict[str, str],
    before: list[str],
    said: Path | None = None,
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*before, sys.executable, "-m", "pipeline.cli", "train", "-c", str(folder), *words],
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **env},
        stdout=said.open("a") if said else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def weights(folder: Path) -> bytes:
    return (folder / "runs" / "tiny" / "train" / "weights.safetensors").read_bytes()


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in alive(folder, "runs/tiny/.scratch/*/checkpoints/0*")}


def wait_for_checkpoint(folder: Path, *running: "subprocess.Popen[str]") -> None:
    known = checkpoints(folder)
    while not checkpoints(folder) - known:
        for process in running:
            assert process.poll() is None
        time.sleep(0.02)


def kill_all(process: "subprocess.Popen[str]") -> None:
    """A process and what it has started, as a machine that loses its power."""
    if process.poll() is None:
        mine = psutil.Process(process.pid)
        for one in [*mine.children(recursive=True), mine]:
            one.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("kind", ["srun", "PyTorchJob"])
def test_ranks_from_the_environment_train_together(tmp_path: Path, kind: str) -> None:
    folder, port = write_tiny(tmp_path / "tiny"), str(free_port())
    ranks = []
    for rank in ("0", "1"):
        job = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        srun = {
            "SLURM_PROCID": rank,
            "SLURM_LOCALID": rank,
            "SLURM_NTASKS": "2",
            "SLURM_STEP_NODELIST": "127.0.0.1",
            "SLURM_STEP_TASKS_PER_NODE": "2",
            "SLURM_JOB_ID": str(int(port) + 20000 - int(port) % 20000),
            "MASTER_PORT": port,
        }
        ranks.append(train(folder, env=srun if kind == "srun" else job, before=[]))
    try:
        said = [rank.communicate(timeout=300)[0] for rank in ranks]
    finally:
        for rank in ranks:  # type: ignore[assignment]
            kill_all(rank)  # type: ignore[arg-type]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    assert "Training begins, on 2 processes." in said[0]
    assert not said[1].strip()
    assert weights(folder)


def ranks_of(agent: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes that it has started; those that ended have no command line any more."""
    found = []
    for one in psutil.Process(agent.pid).children():
        with suppress(psutil.NoSuchProcess):
            if "pipeline.cli.worker" in one.cmdline():
                found.append(one)
    return found


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_agent_restarts_what_is_killed(tmp_path: Path, cli: Cli, strategy: str) -> None:
    words = ["--nproc-per-node", "2", "--set", f"train.strategy={strategy}"]
    calm = write_tiny(tmp_path / "calm", LONG)
    assert cli("train", "-c", calm, *words).returncode == 0
    folder = write_tiny(tmp_path / "killed", LONG)
    agent = train(folder, *words, env={}, before=[])
    try:
        for _ in range(2):
            wait_for_checkpoint(folder, agent)
            ranks_of(agent)[-1].kill()
        said = agent.communicate(timeout=300)[0]
    finally:
        kill_all(agent)
    assert agent.returncode == 0, said
    assert "Training resumes from" in said
    assert weights(folder) == weights(calm)


@pytest.fixture
def hosts() -> Iterator[list[list[str]]]:
    """Two hosts: network namespaces with addresses of their own; what to put before a command."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip (iproute2)")
    names = [f"pipeline-{os.getpid()}-{side}" for side in "ab"]

    def ip(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)

    tried = ip("netns", "add", names[0], check=False)
    if tried.returncode:
        pytest.skip(f"network namespaces are not permitted here: {tried.stderr.strip()}")
    try:
        ip("netns", "add", names[1])
        ends = [("netns", name) for name in names]
        ip("link", "add", "eth0", *ends[0], "type", "veth", "peer", "name", "eth0", *ends[1])
        for number, name in enumerate(names, 1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            ip("netns", "del", name, check=False)


@pytest.mark.slow
@pytest.mark.full
def test_a_host_is_killed_and_comes_back(tmp_path: Path, hosts: list[list[str]]) -> None:
    """Elastic 1:2: the training goes on alone, then with both again, to its end."""
    folder = write_tiny(tmp_path / "tiny", [("epochs = 6", "epochs = 4000\ncheckpoint_every = 8")])
    words = ["--nproc-per-node", "1", "--nnodes", "1:2", "--rdzv-endpoint", "10.77.0.1:29500"]
    words += ["--set", "train.timeout=60"]
    said = [tmp_path / "first.txt", tmp_path / "second.txt"]
    running: list[subprocess.Popen[str]] = []

    def begin(host: int) -> "subprocess.Popen[str]":
        running.append(train(folder, *words, env={}, before=hosts[host], said=said[host]))
        return running[-1]

    def until(text: str, count: int) -> None:
        """Until the first host has said so many lines with a text."""
        while sum(text in line for line in said[0].read_text().splitlines()) < count:
            assert first.poll() is None, [path.read_text() for path in said]
            time.sleep(0.05)

    try:
        first, second = begin(0), begin(1)
        until("on 2 processes", 1)
        wait_for_checkpoint(folder, first, second)
        kill_all(second)
        until("Training resumes from", 1)
        assert said[0].read_text().count("on 2 processes") == 1  # it goes on alone
        wait_for_checkpoint(folder, first)
        second = begin(1)
        until("on 2 processes", 2)
        wait_for_checkpoint(folder, first, second)
        first.send_signal(signal.SIGTERM)
        assert first.wait(120) == 130, said[0].read_text()
        assert "All of it is saved" in said[0].read_text()
    finally:
        for process in running:
            kill_all(process)
