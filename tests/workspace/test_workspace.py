"""Stages are complete or absent, and fresh only while nothing they depend on has changed."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipeline.errors import SetupError
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.record import Ingredients
from tests.command import SERVER

MADE_OF: Ingredients = {"config": {"train": {"epochs": 3}}, "inputs": {}}


def make(workspace: Workspace, made_of: Ingredients = MADE_OF, text: str = "weights") -> None:
    with workspace.publish("train") as draft:
        (draft.folder / "sub").mkdir()
        (draft.folder / "sub" / "w.bin").write_text(text)
        draft.ingredients = made_of
        draft.summary = {"epochs": 3}


def test_missing_then_fresh_then_stale_and_why(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "runs")
    assert workspace.status("train", MADE_OF).state == "missing"
    make(workspace)
    fresh = workspace.status("train", MADE_OF)
    assert fresh.state == "fresh"
    assert fresh.record is not None
    assert fresh.record.summary == {"epochs": 3}
    other = {"config": {"train": {"epochs": 5}}, "inputs": {"data": "abc"}}
    stale = workspace.status("train", other)
    assert stale.state == "stale"
    assert stale.why == ("config.train.epochs: 3 → 5", "inputs.data changed")


def test_a_flipped_byte_and_a_missing_file_are_found(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make(workspace)
    file = workspace.stage("train") / "sub" / "w.bin"
    file.write_text("veights")
    damaged = workspace.status("train", MADE_OF)
    assert damaged.state == "damaged"
    assert damaged.why == (f"{file} is not what was written",)
    file.unlink()
    assert workspace.status("train", MADE_OF).why == (f"{file} is missing",)
    (workspace.stage("train") / "record.json").write_text("{")
    assert workspace.status("train", MADE_OF).state == "damaged"


def test_dates_do_not_matter(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make(workspace)
    os.utime(workspace.stage("train") / "sub" / "w.bin", (0, 0))
    assert workspace.status("train", MADE_OF).state == "fresh"


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make(workspace)
    with pytest.raises(ValueError, match="half way"), workspace.publish("train") as draft:
        (draft.folder / "half.bin").write_text("half")
        raise ValueError("half way")
    assert workspace.status("train", MADE_OF).state == "fresh"
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


KILLED = """
import os, signal, sys
from multiprocessing.connection import Connection
from pathlib import Path
from pipeline.workspace.folder import Workspace
workspace = Workspace(Path(sys.argv[1]))
with workspace.lock("test"):
    number = 0
    while True:
        number += 1
        with workspace.publish("train") as draft:
            for name in "ab":
                (draft.folder / name).write_text(str(number) * 50_000)
            draft.ingredients = {"always": "the same"}
        print(number, flush=True)
"""


def test_kill_9_at_any_moment_leaves_a_whole_stage(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for turn in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # one whole round at least
        time.sleep(0.002 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with workspace.lock("test"):  # the dead process's lock is gone; leftovers are cleared
            assert workspace.status("train", {"always": "the same"}).state == "fresh"
            folder = workspace.stage("train")
            assert (folder / "a").read_text() == (folder / "b").read_text()
            assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "train"]


def test_a_second_process_is_told_who_holds_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with (
        workspace.lock("pipeline run"),
        pytest.raises(SetupError, match=rf"process {os.getpid()} .*pipeline run") as caught,
        workspace.lock("pipeline train"),
    ):
        pass
    assert "--wait" in (caught.value.hint or "")
    with workspace.lock("pipeline train"):
        pass


def test_a_full_disk_is_said_and_leaves_the_old_stage(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    try:
        workspace = Workspace(small)
        make(workspace)
        with pytest.raises(SetupError, match="disk is full"):
            make(workspace, text="x" * 2_000_000)
        assert workspace.status("train", MADE_OF).state == "fresh"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        with pytest.raises(SetupError, match="cannot be written"):
            make(Workspace(locked / "runs"))
        return
    read_only = tmp_path / "read only"
    read_only.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(read_only)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("root may write everywhere, and mounting is not permitted here")
    try:
        with pytest.raises(SetupError, match="cannot be written"):
            make(Workspace(read_only / "runs"))
    finally:
        subprocess.run(["umount", str(read_only)], check=True)


def test_recover_puts_back_what_a_kill_moved_away(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    make(workspace)
    workspace.stage("train").rename(tmp_path / ".train.old")  # killed between the two renames
    with workspace.lock("test"):
        assert workspace.status("train", MADE_OF).state == "fresh"


def hold(root: Path, child: Connection) -> None:
    with Workspace(root).lock("test"):
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        child.send(pid)
        signal.pause()


def test_what_a_killed_process_had_forked_does_not_hold_its_lock(tmp_path: Path) -> None:
    """Workers that read data go on for some seconds."""
    ours, theirs = SERVER.Pipe()
    process = SERVER.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    child = ours.recv()
    process.kill()
    process.join()
    try:
        with Workspace(tmp_path).lock("test"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
