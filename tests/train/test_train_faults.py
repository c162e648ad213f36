"""What may happen to several processes: killed, hanging, a full disk, other code on one node."""

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.system.progress import Silent
from pipeline.train import checkpoint
from tests.conftest import alive
from tests.train.conftest import MakeProject, Project, same
from tests.train.ranks import Ranks, start, train

STRATEGIES = ["ddp", "fsdp"]


def checkpoints(points: Project, to: str) -> list[Path]:
    return sorted(alive(points.folder, f"{to}.scratch/checkpoints/0*"))


def killed_until_done(points: Project, size: int, seed: int, kills: int) -> int:
    """SIGKILLs one rank or all at random moments of the training, `kills` times at most.

    After each kill every checkpoint that has its name is read. Gives the number of kills.
    """
    rng = random.Random(seed)
    for done in range(kills):
        known = set(checkpoints(points, "pieces"))
        ranks = start(points, size, to="pieces")
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, 1))  # still starting, or taking the last checkpoint up
        else:
            while set(checkpoints(points, "pieces")) <= known and all(
                one.is_alive() for one in ranks.processes
            ):
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.3))
        one = rng.choice([*ranks.processes, None])
        for process in ranks.processes if one is None else [one]:
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGKILL)
        if one is not None:
            one.join()
        if not all(process.exitcode == 0 for process in ranks.processes):
            # As the agent does it: who waits for one that is gone is ended, sooner or later.
            ranks.wait(rng.choice([0, 0.1, 1]))
        codes = ranks.wait()
        for path in checkpoints(points, "pieces"):
            checkpoint.load(path)  # raises for one that is damaged
        if codes == [0] * size:
            return done
    train(points, size, to="pieces")
    return kills


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_ranks_end_with_the_same_bits(project: MakeProject, strategy: str) -> None:
    points = project(f"train.strategy={strategy}", "train.checkpoint_every=2", "train.epochs=25")
    train(points, 2)
    assert killed_until_done(points, 2, 1, 3) > 0
    assert same(points.result(), points.result("pieces"))


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_thirty_kills(project: MakeProject, strategy: str, size: int) -> None:
    """At least 30 over the four: each is killed until it has had eight or more."""
    points = project(f"train.strategy={strategy}", "train.checkpoint_every=2", "train.epochs=150")
    train(points, size)
    kills = 0
    for seed in range(9):
        for folder in ("pieces", "pieces.scratch"):
            for path in sorted((points.folder / folder).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        kills += killed_until_done(points, size, seed, 9 - kills)
        assert same(points.result(), points.result("pieces"))
        if kills >= 9:
            break
    assert kills >= 9


def hang_in_data(rank: int) -> None:
    """Rank 1 never gets its sample of the third step."""
    if rank == 1:
        import points

        read = points.Points.__getitem__
        count = iter(range(10**6))

        def late(self: object, index: int) -> object:
            if next(count) == 40:
                time.sleep(1000)
            return read(self, index)

        points.Points.__getitem__ = late


@pytest.mark.slow
def test_a_rank_that_hangs_is_named(project: MakeProject) -> None:
    points = project("train.timeout=8", "train.epochs=50")
    ranks = start(points, 2, hook=hang_in_data)
    codes = ranks.wait(120)
    assert codes == [-signal.SIGKILL] * 2, [ranks.said(rank) for rank in (0, 1)]
    said = (points.folder / "out.ranks" / "said.txt").read_text()
    assert "No progress for 8 s: rank 1 (process" in said
    assert "hangs at step" in said
    assert "in its data" in said


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_rank_is_named(project: MakeProject, stopped: int) -> None:
    """Rank 0 has the store that all speak through: while it is stopped, nobody can be asked."""
    points = project("train.timeout=8", "train.epochs=100000", "train.checkpoint_every=2")
    ranks = start(points, 2)
    while not checkpoints(points, "out") and all(one.is_alive() for one in ranks.processes):
        time.sleep(0.02)
    pid = ranks.processes[stopped].pid
    assert pid, ranks.said(stopped)
    os.kill(pid, signal.SIGSTOP)
    other = ranks.processes[1 - stopped]
    other.join(60)
    assert other.exitcode == -signal.SIGKILL, ranks.said(1 - stopped)
    said = (points.folder / "out.ranks" / "said.txt").read_text()
    assert f"No progress for 8 s: rank {stopped} (process {pid} on" in said
    assert re.search(r"hangs at step [1-9]\d*, in its ", said)
    ranks.kill()


def other_code(rank: int) -> None:
    """What a node has whose copy of the project was not brought up to date."""
    if rank == 1:
        from pipeline.train import agree

        agree.source_hashes = lambda config: {"points.py": "another"}  # type: ignore[attr-defined]


def other_data(rank: int) -> None:
    if rank == 1:
        import points

        read = points.Points.__getitem__
        points.Points.__getitem__ = lambda self, index: (read(self, index)[0] + 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hook", "other", "what"),
    [
        (other_code, (), "points.py"),
        (other_data, (), "the train samples, the validation samples"),
        (None, ("train.lr=0.5",), "[train] of pipeline.toml"),
    ],
    ids=["code", "data", "config"],
)
def test_nodes_that_differ_do_not_begin(
    project: MakeProject, hook: Callable[[int], None] | None, other: tuple[str, ...], what: str
) -> None:
    points = project()
    ranks = start(points, 2, hook=hook, other=other)
    assert ranks.wait() == [2, 2]
    for rank in (0, 1):
        assert "Rank 1 on" in ranks.said(rank)
        assert f"these differ: {what}." in ranks.said(rank)
    assert not checkpoints(points, "out")


def small_disk(rank: int) -> None:
    """Writes of more than 64 KiB to a file fail, as on a full disk, once there is a checkpoint."""
    import errno

    import pipeline.train.checkpoint as module

    write = module._write_synced

    def refused(path: Path, content: bytes) -> None:
        if len(list(path.parent.parent.glob("0*"))) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    module._write_synced = refused


@pytest.mark.slow
def test_a_full_disk_keeps_the_checkpoint_before(project: MakeProject) -> None:
    points = project("train.epochs=30")
    ranks: Ranks = start(points, 2, hook=small_disk)
    codes = ranks.wait()
    assert codes[0] == 3
    assert "The disk is full" in ranks.said(0)
    assert "The checkpoint before it is intact: 2 epochs" in ranks.said(0)
    kept = checkpoints(points, "out")
    assert json.loads((kept[-1] / "state.json").read_text())
    for path in kept:
        checkpoint.load(path)


@pytest.mark.slow
def test_one_process_takes_up_what_two_began(project: MakeProject) -> None:
    """As when a node leaves: it goes on where they were, and ends."""
    points = project("train.epochs=200")
    ranks = start(points, 2)
    while len(checkpoints(points, "out")) < 2:
        time.sleep(0.02)
    ranks.kill(signal.SIGTERM)
    assert ranks.wait() == [130, 130], ranks.said(0)
    assert "All of it is saved" in ranks.said(1)
    report = Silent()
    points.train(report=report)
    assert report.notes[0].startswith("Training resumes from epoch")
    assert len(points.rows()) == 200
