"""Checkpoints: what goes in comes out, whole or not at all, and nothing in them is ever run."""

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.errors import DamagedError, Interrupted, SetupError, UsageError
from pipeline.system.progress import Silent
from pipeline.train import checkpoint
from tests.train.conftest import MakeProject, Stopping, same

STATE: dict[str, Any] = {
    "numbers": [1, -2.5, 0.1 + 0.2, math.inf, True, None, "text with é"],
    "pairs": (0.9, 0.999),
    "by number": {0: {"step": torch.tensor(3.0)}, 1: {}},
    "milestones": Counter([2, 5, 5]),
    "numpy": np.float32(0.1),
    "same name": {"a/b": torch.ones(2), "a": {"b": torch.zeros(2)}},
    "dtypes": [torch.arange(5, dtype=kind) for kind in (torch.bfloat16, torch.int64, torch.uint8)],
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "empty": torch.empty(0, 3),
}


def equal(one: Any, other: Any) -> bool:
    if torch.is_tensor(one):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return type(one) is type(other) and equal(list(one.items()), list(other.items()))
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(equal(a, b) for a, b in pairs)
    return type(one) is type(other) and bool(one == other)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "00001-00000000", STATE)
    assert equal(checkpoint.load(tmp_path / "00001-00000000"), STATE)


@pytest.mark.parametrize("value", [{1, 2}, object(), {(1, 2): 3}, torch.float32, 1j])
def test_what_cannot_be_saved_is_named(tmp_path: Path, value: object) -> None:
    with pytest.raises(UsageError, match="optimizer/thing"):
        checkpoint.save(tmp_path, "00001-00000000", {"optimizer": {"thing": value}})
    assert not list(tmp_path.iterdir())


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "00001-00000000"
    checkpoint.save(tmp_path, path.name, {"weights": torch.arange(3.0), "lr": 0.5})
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for index in range(len(whole)):
            broken = bytearray(whole)
            broken[index] ^= 1
            file.write_bytes(broken)
            with pytest.raises(DamagedError, match=path.name):
                checkpoint.load(path)
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DamagedError):
            checkpoint.load(path)
        file.write_bytes(whole)
    checkpoint.load(path)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.STATE])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_pickled_code_is_never_run(tmp_path: Path, file: str, how: str) -> None:
    checkpoint.save(tmp_path, "00001-00000000", STATE)
    target, proof = tmp_path / "00001-00000000" / file, tmp_path / "proof"
    if how == "torch":
        torch.save(Trap(proof), target)
    else:
        target.write_bytes(pickle.dumps(Trap(proof)))
    with pytest.raises(DamagedError):
        checkpoint.load(target.parent)
    assert not proof.exists()


def test_what_a_killed_one_left_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "00001-00000000", {})
    (tmp_path / ".00002-00000000.tmp").mkdir()
    (tmp_path / ".00000-00000004.old").mkdir()
    assert [path.name for path in checkpoint.newest_first(tmp_path)] == ["00001-00000000"]
    checkpoint.save(tmp_path, "00002-00000000", {})
    checkpoint.keep_only(tmp_path, ["00002-00000000"])
    assert [path.name for path in tmp_path.iterdir()] == ["00002-00000000"]


KILLED = """
import os, sys
from pathlib import Path
import torch
from pipeline.train import checkpoint

folder = Path(sys.argv[1])
state = {"tensor": torch.arange(200_000), "many": list(range(2000))}
for epoch in range(10_000):
    checkpoint.save(folder, checkpoint.name_of(epoch, 0), state | {"epoch": epoch})
    checkpoint.keep_only(folder, [checkpoint.name_of(epoch, 0)])
    print(epoch, flush=True)
"""


def test_killed_while_writing(tmp_path: Path) -> None:
    """Many are written and removed until SIGKILL; what has its name is whole, and the newest."""
    for moment in range(4):
        folder = tmp_path / str(moment)
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, folder], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # the first is written
        time.sleep(0.1 + 0.037 * moment)
        process.kill()
        said = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        states = [checkpoint.load(path) for path in checkpoint.newest_first(folder)]
        assert states[0]["epoch"] >= int((said or ["0"])[-1])
        assert len(states) <= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_the_checkpoint_before(small_disk: Path) -> None:
    checkpoint.save(small_disk, "00001-00000003", {"weights": torch.zeros(1000)})
    with pytest.raises(SetupError, match=r"disk is full.*intact: 1 epochs and 3 batches") as full:
        checkpoint.save(small_disk, "00002-00000000", {"weights": torch.zeros(100_000)})
    assert full.value.exit_code == 3
    assert [path.name for path in small_disk.iterdir()] == ["00001-00000003"]
    assert checkpoint.load(small_disk / "00001-00000003")["weights"].shape == (1000,)


def test_training_on_a_disk_that_fills_up(project: MakeProject, small_disk: Path) -> None:
    points = project()
    points.train(to="calm")
    (points.folder / "out.scratch").symlink_to(small_disk)
    with pytest.raises(Interrupted):
        points.train(report=Stopping(6))
    ballast = small_disk.parent / "small disk" / "checkpoints" / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    with pytest.raises(SetupError, match=r"The disk is full.*intact: 1 epochs and 2 batches"):
        points.train()
    ballast.unlink()
    report = Silent()
    points.train(report=report)
    assert "resumes from epoch 2 of 3, batch 2" in report.notes[0]
    assert same(points.result(), points.result("calm"))


def test_a_folder_that_cannot_be_written(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SetupError, match=r"Read-only file system\. There is no checkpoint"):
        checkpoint.save(small_disk / "checkpoints", "00001-00000000", STATE)


def test_workers_do_not_outlive_a_killed_training(project: MakeProject) -> None:
    points = project("train.workers=2", "train.epochs=100000")
    code = (
        "import sys; from pathlib import Path; from tests.train.conftest import Project\n"
        "Project(Path(sys.argv[1]), sys.argv[2:]).train()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, points.folder, *points.overrides])
    metrics = points.folder / "out" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30  # torch's workers look for their parent every 5 s
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a worker outlives its training"
        time.sleep(0.2)
