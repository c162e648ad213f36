"""Kills, full disks, read-only folders: nothing half-written is ever found under its name."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.workspace.folder import Workspace
from pipeline.workspace.stage import STAGES
from tests.command import Command
from tests.conftest import PINNED, Cli, write_tiny

pytestmark = pytest.mark.slow


def whole_or_absent(root: Path) -> list[str]:
    """The stages that are there; each must have a record, and the files of that record."""
    workspace = Workspace(root)
    there = [stage for stage in STAGES if workspace.stage(stage).exists()]
    for stage in there:
        record = workspace.record(stage)
        assert record is not None, f"{stage} is there without its record"
        assert workspace.broken_files(stage, record) == []
    return there


def bundle_bytes(root: Path) -> dict[str, bytes]:
    bundle = root / "package" / "tiny.bundle"
    files = (path for path in bundle.rglob("*") if path.is_file())
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in files}


@pytest.mark.full
def test_killed_again_and_again(tmp_path: Path, cli: Cli) -> None:
    calm = write_tiny(tmp_path / "calm", PINNED)
    assert cli("run", "-c", calm).returncode == 0
    folder = write_tiny(tmp_path / "killed", PINNED)
    root = folder / "runs" / "tiny"
    rng = random.Random(5)
    reached = set()
    for _ in range(8):
        with Command("run", "-c", folder):
            time.sleep(rng.uniform(0.5, 8))
        reached.update(whole_or_absent(root))
    assert len(reached) > 2, "the kills came too early to mean anything"
    done = cli("run", "-c", folder)
    assert done.returncode == 0, done.stderr
    assert bundle_bytes(root) == bundle_bytes(calm / "runs" / "tiny")
    left = {path.name for path in root.iterdir()} - {*STAGES, "report"}
    assert left <= {".lock", ".scratch"}, "what the killed ones left was not cleared"
    assert not list((root / ".scratch").iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte; `mount -o remount,...` changes it."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


@pytest.mark.full
def test_a_disk_that_is_full_then_grows(tmp_path: Path, small_disk: Path, cli: Cli) -> None:
    folder = write_tiny(tmp_path / "tiny")
    root = small_disk / "tiny"
    reached: list[str] = []
    for size in ("16k", "256k", "400k"):
        remount(small_disk, f"size={size}")
        done = cli("run", "-c", folder, "--workspace", root)
        said = " ".join(done.stderr.replace("│", " ").split())
        assert done.returncode == 3, done.stdout + done.stderr
        assert "The disk is full" in said
        assert "small disk" in said
        assert "Free some space" in said or "Make room" in said
        assert whole_or_absent(root)[: len(reached)] == reached
        reached = whole_or_absent(root)
    assert reached, "no stage was finished before the disk was full"
    remount(small_disk, "size=64m")
    done = cli("run", "-c", folder, "--workspace", root)
    assert done.returncode == 0, done.stderr
    assert whole_or_absent(root) == list(STAGES)


def test_a_folder_that_cannot_be_written(tmp_path: Path, small_disk: Path, cli: Cli) -> None:
    folder = write_tiny(tmp_path / "tiny")
    remount(small_disk, "ro")
    done = cli("run", "-c", folder, "--workspace", small_disk / "tiny")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "cannot be written" in " ".join(done.stderr.replace("│", " ").split())
    assert "--workspace" in done.stderr


def test_a_workspace_that_became_read_only_can_still_be_read(
    tmp_path: Path, small_disk: Path, cli: Cli
) -> None:
    folder = write_tiny(tmp_path / "tiny")
    remount(small_disk, "size=64m")
    root = small_disk / "tiny"
    assert cli("export", "-c", folder, "--workspace", root).returncode == 0
    remount(small_disk, "ro")
    done = cli("status", "-c", folder, "--workspace", root)
    assert done.returncode == 0, done.stderr
    assert "fresh" in done.stdout
    assert cli("inspect", root).returncode == 0


def test_no_process_outlives_a_killed_run(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", [("seconds = 0.05", "seconds = 20")])
    verify = folder / "runs" / "tiny" / "verify"
    with Command("run", "-c", folder) as command:
        while not verify.exists():
            assert command.returncode is None
            time.sleep(0.05)
        while not (children := _children(command.pid)):  # the process that is measured
            assert command.returncode is None
            time.sleep(0.05)
    deadline = time.monotonic() + 10
    while any(_alive(child) for child in children):
        assert time.monotonic() < deadline, "a measuring process goes on without its parent"
        time.sleep(0.1)


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in found]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
