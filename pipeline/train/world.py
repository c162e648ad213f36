"""Who takes part in the training: one process, or many that were started together."""

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from pipeline.errors import PipelineError, SetupError, brief

# The exchange itself gives up so much later than watch.py, which can say whose fault it is.
GRACE_S = 30.0


@dataclass(frozen=True)
class World:
    """This process is number `rank` of `size`, and number `local_rank` of `local_size` on `host`.

    Rank 0 is the one that writes files and speaks to the user.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    host: str = ""

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def all_reduce(self, *values: float) -> list[float]:
        """The sums of `values` over all processes, in float64."""
        return self.all_reduce_async(*values).wait()

    def all_reduce_async(self, *values: float) -> "Sums":
        """Begins to add `values` up over all processes; other exchanges may go on beside it."""
        tensor = torch.tensor(values, dtype=torch.float64)
        if self.alone:
            return Sums(tensor, None)
        with lost_peers():
            return Sums(tensor, dist.all_reduce(tensor, async_op=True))

    def any(self, flag: bool) -> bool:
        """Whether it is so in one process at least: all get the same answer."""
        return self.all_reduce(flag)[0] > 0

    def broadcast(self, value: Any) -> Any:
        """Rank 0's `value`, in every process."""
        if self.alone:
            return value
        box = [value]
        with lost_peers():
            dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def all_gather(self, value: Any) -> list[Any]:
        """The values of all processes, in the order of their ranks."""
        if self.alone:
            return [value]
        values = [None] * self.size
        with lost_peers():
            dist.all_gather_object(values, value)
        return values


@dataclass(frozen=True)
class Sums:
    """Sums that are on their way. Every process waits for them, in the same order."""

    tensor: torch.Tensor
    work: Any

    def wait(self) -> list[float]:
        if self.work is not None:
            with lost_peers():
                self.work.wait()
        return self.tensor.tolist()


class LostPeersError(SetupError):
    """Another process ended or did not answer: it knows why, this one does not."""


@contextmanager
def lost_peers() -> Iterator[None]:
    """Turns what torch raises for a broken exchange, and what says that it comes from one, into a
    LostPeersError."""
    try:
        yield
    except LostPeersError:
        raise
    except (RuntimeError, PipelineError) as error:
        lost = next((cause for cause in _causes(error) if is_lost(cause)), None)
        if lost is None:
            raise
        raise LostPeersError(
            f"Another process of the training ended or does not answer: {brief(lost)}",
            "Look at that process's output; with --max-restarts the training resumes by itself.",
        ) from error


def is_lost(error: BaseException) -> bool:
    text = str(error)
    signs = ("Connection", "connection", "Timed out", "timeout", "gloo/transport", "Socket")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in signs)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def in_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """torch's five variables, as torchrun and PyTorchJob set them or made of Slurm's; None without.

    Raises SetupError where a part of them is missing.
    """
    env = dict(environment)
    if "RANK" not in env and int(env.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in env:
        env |= _of_slurm(env)
    if "RANK" not in env or "WORLD_SIZE" not in env:
        return None
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not env.get(name)]
    if missing and int(env["WORLD_SIZE"]) > 1:
        raise SetupError(
            f"RANK and WORLD_SIZE are set, but {' and '.join(missing)} not.",
            "Start it with torchrun, srun, a PyTorchJob, or pipeline train --nproc-per-node N.",
        )
    env.setdefault("LOCAL_RANK", "0")
    env.setdefault("LOCAL_WORLD_SIZE", "1")
    names = (
        *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
        *("MASTER_ADDR", "MASTER_PORT"),
    )
    return {name: env[name] for name in names if name in env}


def _of_slurm(env: Mapping[str, str]) -> dict[str, str]:
    """srun gives a task its number; the first host of the step is where all meet.

    `SLURM_STEP_NODELIST` is `host`, `a,b` or `gpu[01-04,7]`; the port is a function of the job's
    number, so that two jobs on one host do not meet.
    """
    nodes = env.get("SLURM_STEP_NODELIST") or env.get("SLURM_JOB_NODELIST", "127.0.0.1")
    head = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\](\S*))?", nodes)
    first = "".join(part or "" for part in head.groups()) if head else nodes
    here = env.get("SLURM_STEP_TASKS_PER_NODE") or env.get("SLURM_TASKS_PER_NODE", "1")
    return {
        "RANK": env["SLURM_PROCID"],
        "WORLD_SIZE": env["SLURM_NTASKS"],
        "LOCAL_RANK": env.get("SLURM_LOCALID", "0"),
        "LOCAL_WORLD_SIZE": env.get("SLURM_NTASKS_PER_NODE") or re.split(r"[(,]", here)[0],
        "MASTER_ADDR": env.get("MASTER_ADDR") or first.split(",")[0],
        "MASTER_PORT": env.get("MASTER_PORT")
        or str(20000 + int(env.get("SLURM_JOB_ID", "0")) % 20000),
    }


def current() -> World:
    """The world that this process has joined; one of its own otherwise."""
    if not dist.is_initialized():
        return World(host=socket.gethostname())
    return World(
        rank=dist.get_rank(),
        size=dist.get_world_size(),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        host=socket.gethostname(),
    )


@contextmanager
def joined(timeout_s: float, device: str) -> Iterator[World]:
    """Meets the processes that the environment tells of: gloo for the CPU, NCCL for GPUs.

    A group that Ray has made already is taken as it is. Raises SetupError if they do not come.
    """
    variables = in_environment()
    if dist.is_initialized():
        with lost_peers():
            yield current()
        return
    if variables is None or variables["WORLD_SIZE"] == "1":
        yield current()
        return
    os.environ.update(variables)
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(variables["LOCAL_RANK"]) % torch.cuda.device_count())
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=timedelta(seconds=timeout_s + GRACE_S)
        )
    except (RuntimeError, ValueError) as error:
        where = f"{variables['MASTER_ADDR']}:{variables['MASTER_PORT']}"
        raise SetupError(
            f"Process {variables['RANK']} of {variables['WORLD_SIZE']} did not meet the others at "
            f"{where}: {brief(error)}",
            "Check that the address can be reached from every node, and that all are started.",
        ) from error
    try:
        # FSDP and checkpoints exchange in the middle of torch's own code, whatever the line.
        with lost_peers():
            yield current()
    finally:
        dist.destroy_process_group()
