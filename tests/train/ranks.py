"""Trainings on several processes, each forked from a server that has torch already."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.system.progress import Silent
from tests.command import SERVER
from tests.train.conftest import Project


@dataclass
class Ranks:
    """Processes that train a project together; what each raised lies in a file."""

    folder: Path
    processes: list[BaseProcess] = field(default_factory=list)

    def wait(self, timeout_s: float = 120) -> list[int]:
        """The exit codes; a rank that is still there after the time-out is killed."""
        until = time.monotonic() + timeout_s
        for process in self.processes:
            process.join(max(0.1, until - time.monotonic()))
        self.kill()
        return [process.exitcode or 0 for process in self.processes]

    def kill(self, number: int = signal.SIGKILL) -> None:
        for process in self.processes:
            if process.is_alive() and process.pid:
                os.kill(process.pid, number)
        if number == signal.SIGKILL:
            for process in self.processes:
                process.join()

    def said(self, rank: int) -> str:
        path = self.folder / f"rank{rank}.txt"
        return path.read_text() if path.exists() else ""


def start(
    project: Project,
    size: int,
    *overrides: str,
    to: str = "out",
    hook: Callable[[int], None] | None = None,
    other: tuple[str, ...] = (),
) -> Ranks:
    """`hook(rank)` is called in each rank before it trains; rank 1 has `other` overrides too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = project.folder / f"{to}.ranks"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.txt"):
        old.unlink()
    ranks = Ranks(folder)
    for rank in range(size):
        own = (*overrides, *(other if rank == 1 else ()))
        arguments = (project, _Place(rank, size, port), own, to, hook)
        process = SERVER.Process(target=_rank, args=arguments, daemon=True)
        process.start()
        ranks.processes.append(process)
    return ranks


def train(project: Project, size: int, *overrides: str, to: str = "out") -> Ranks:
    """Raises AssertionError with what the ranks said unless all end well."""
    ranks = start(project, size, *overrides, to=to)
    codes = ranks.wait()
    assert codes == [0] * size, [ranks.said(rank) for rank in range(size)]
    return ranks


class Written(Silent):
    """Keeps warnings in a file: a rank may not live to be asked."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def warn(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text + "\n")


@dataclass(frozen=True)
class _Place:
    rank: int
    size: int
    port: int


def _rank(
    project: Project,
    place: _Place,
    overrides: tuple[str, ...],
    to: str,
    hook: Callable[[int], None] | None,
) -> None:
    from pipeline.train import dismiss_others, follow
    from pipeline.train.world import joined

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    rank, size = place.rank, place.size
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    os.environ |= {"LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": str(place.port)}
    report = Written(project.folder / f"{to}.ranks" / "said.txt")
    told = project.folder / f"{to}.ranks" / f"rank{rank}.txt"
    code = 1
    try:
        job = project.job(*overrides, to=to, report=report)
        sys.path.insert(0, str(project.folder))
        if hook:
            hook(rank)
        with joined(job.config.train.timeout, "cpu"):
            if rank == 0:
                project.train(*overrides, to=to, report=report)
                dismiss_others()
            else:
                out = project.folder / f"{to}.ranks" / f"out{rank}"
                out.mkdir(exist_ok=True)
                follow(job.config, project.folder, out, job.report)
        code = 0
    except PipelineError as error:
        told.write_text(f"{error.message}\n{error.hint}")
        code = error.exit_code
    except BaseException:
        told.write_text(traceback.format_exc())
    finally:
        os._exit(code)
