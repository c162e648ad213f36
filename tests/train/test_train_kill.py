"""Real `pipeline train` processes, ended from outside at many moments, against one left alone."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import SERVER, Command
from tests.conftest import Cli, alive, write_tiny
from tests.train.conftest import MakeProject, Project

ENDINGS = (
    (signal.SIGKILL, 0),
    (signal.SIGTERM, 2),
    (signal.SIGKILL, 2),
    (signal.SIGTERM, 0),
    (signal.SIGINT, 2),
)
LONGER = [("epochs = 6", "epochs = 60\ncheckpoint_every = 4\naccumulate = 2")]

# Loads torch once and forks a training for each kill: a process that starts takes seconds, of
# which only the last tenths are training.
FORKS = """
import json, os, random, signal, sys, time
from pathlib import Path

sys.path.insert(0, os.getcwd())
import torch
import pipeline.train.loop
from pipeline.errors import Interrupted
from tests.train.conftest import Project

folder, seed, *overrides = sys.argv[1:]
torch.set_num_threads(1)
rng, codes = random.Random(int(seed)), []
while not codes or codes[-1] != 0:
    child = os.fork()
    if not child:
        code = 1
        try:
            Project(Path(folder), overrides).train(to="pieces")
            code = 0
        except Interrupted:
            code = 130
        finally:
            os._exit(code)
    time.sleep(rng.uniform(0.1, 0.5))
    number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    if len(codes) < 9:
        os.kill(child, number)
    _, status = os.waitpid(child, 0)
    codes.append(os.waitstatus_to_exitcode(status))
print(json.dumps(codes))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_again_and_again(project: MakeProject, workers: int) -> None:
    settings = ["train.epochs=40", "train.checkpoint_every=3", "train.scheduler=OneCycleLR"]
    points = project(*settings, "train.scheduler_every=step", f"train.workers={workers}")
    points.train()
    arguments = [points.folder, str(workers), *points.overrides]
    done = subprocess.run(
        [sys.executable, "-c", FORKS, *arguments],  # type: ignore[list-item]
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    codes = [int(code) for code in done.stdout.strip("[]\n").split(",")]
    assert codes.count(-signal.SIGKILL) >= 2, codes
    # 1 and the signal's own number: it came before the loop was there to answer it.
    assert set(codes) <= {0, 1, 130, -signal.SIGKILL, -signal.SIGTERM}, codes
    for name in ("weights.safetensors", "last.safetensors", "train.json"):
        one, other = (points.folder / to / name for to in ("out", "pieces"))
        assert one.read_bytes() == other.read_bytes(), name


def interrupted_at_birth(points: Project) -> None:
    multiprocessing.set_start_method("forkserver", force=True)  # the default of Python 3.14
    os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGINT))
    points.train()


def test_ctrl_c_does_not_end_a_worker_that_has_just_started(project: MakeProject) -> None:
    """It goes to the whole group, and may come before a worker knows what to do with it."""
    points = project("train.workers=2", "train.epochs=1")
    process = SERVER.Process(target=interrupted_at_birth, args=(points,))
    process.start()
    process.join(120)
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    folder = write_tiny(tmp_path_factory.mktemp("calm") / "tiny", LONGER)
    done = cli("train", "-c", folder)
    assert done.returncode == 0, done.stderr
    return folder


def weights(folder: Path) -> bytes:
    return (folder / "runs" / "tiny" / "train" / "weights.safetensors").read_bytes()


def checkpoints(folder: Path) -> set[str]:
    files = alive(folder, "runs/tiny/.scratch/*/checkpoints/0*/state.json")
    return {path.parent.name for path in files}


@pytest.mark.slow
def test_through_the_command_line(calm: Path, tmp_path: Path, cli: Cli) -> None:
    """Ended five times, each time with the other number of workers, then left alone."""
    folder = write_tiny(tmp_path / "killed prøject", LONGER)
    rng, said, codes = random.Random(3), "", []
    for number, workers in ENDINGS:
        known = checkpoints(folder)
        with Command("train", "-c", folder, "--set", f"train.workers={workers}") as command:
            while not checkpoints(folder) - known:
                assert command.returncode is None, command.said()
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.03))
            if number == signal.SIGINT:
                os.killpg(command.pid, number)  # as a terminal does it
            else:
                command.send(number)
            codes.append(command.wait(120))
            said = command.said()[1]
        assert not (folder / "runs" / "tiny" / "train").exists(), said
    assert codes == [-number if number == signal.SIGKILL else 130 for number, _ in ENDINGS], said
    assert "Run the same command again" in said
    done = cli("train", "-c", folder, "--set", "train.workers=2")
    assert done.returncode == 0, done.stderr
    assert "Training resumes from" in done.stdout + done.stderr
    assert weights(folder) == weights(calm)
    assert not list((folder / "runs" / "tiny" / ".scratch").iterdir())
