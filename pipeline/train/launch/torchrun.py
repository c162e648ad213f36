"""torchrun's elastic agent: starts the processes of a machine, and starts them again."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pipeline.config import threads_or_all
from pipeline.errors import Interrupted, PipelineError, SetupError, UsageError
from pipeline.train.launch import worker_errors


@dataclass(frozen=True)
class Start:
    """What the command line asks for.

    `processes` is a number or `auto`: one for each GPU, on a machine without GPU for each core.
    `nodes` is `N` or `MIN:MAX`; `meeting` is the HOST:PORT where nodes meet, None for one machine.
    """

    processes: str
    nodes: str = "1"
    meeting: str | None = None
    restarts: int = 3
    join_s: int = 900


def launch(start: Start, command: Sequence[str]) -> None:
    """Runs `python COMMAND` in every process and waits for the end.

    Raises what the first process that failed raised; Interrupted after Ctrl-C or SIGTERM.
    """
    least, most = _nodes(start.nodes)
    if most > 1 and start.meeting is None:
        raise UsageError(
            f"--nnodes {start.nodes} needs a place where the nodes meet.",
            "Give the address of one of them to all: --rdzv-endpoint HOST:29500",
        )
    logging.getLogger("torch.distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="pipeline-") as folder:
        where = Path(folder) / "errors"
        where.mkdir()
        os.environ[worker_errors.FOLDER] = str(where)
        if least < most:
            worker_errors.allow_leaving(where)
        # torch 2.15's agent would keep one store for all rounds: processes that are started again
        # find the addresses of dead ones in it, and a machine that joins later no address at all.
        os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
        address, hosts = _own_address(start.meeting) if start.meeting else ("127.0.0.1", True)
        _speak_at(address)
        config = LaunchConfig(
            min_nodes=least,
            max_nodes=most,
            nproc_per_node=_processes(start.processes),
            run_id="pipeline" if start.meeting else f"pipeline-{os.getpid()}",
            rdzv_backend="c10d",
            rdzv_endpoint=start.meeting or "localhost:0",
            rdzv_configs={
                "timeout": start.join_s,
                "last_call_timeout": 5,
                "read_timeout": 60,
                "is_host": hosts,
            },
            max_restarts=start.restarts,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            local_addr=address,
        )
        try:
            elastic_launch(config, entrypoint=sys.executable)(*command)
        except ChildFailedError as error:
            raise _cause(where, error, start) from error
        except SignalException as error:
            raise _interruption(where, error) from error
        except (RendezvousError, TimeoutError) as error:
            raise SetupError(
                f"The nodes did not meet at {start.meeting or 'this machine'}: {error}",
                f"Start {least} of them within {start.join_s} s, all with the same "
                "--rdzv-endpoint, an address that every node reaches.",
            ) from error
        finally:
            del os.environ[worker_errors.FOLDER]


def _nodes(nodes: str) -> tuple[int, int]:
    least, _, most = nodes.partition(":")
    try:
        numbers = int(least), int(most or least)
    except ValueError:
        numbers = (0, 0)
    if not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"--nnodes {nodes!r} is not a number of nodes.", "Give N or MIN:MAX: 1:4")
    return numbers


def _processes(processes: str) -> int:
    if processes == "auto":
        return torch.cuda.device_count() or threads_or_all(0)
    if not processes.isdigit() or int(processes) < 1:
        raise UsageError(
            f"--nproc-per-node {processes!r} is not a number of processes.",
            "Give a number, or auto.",
        )
    return int(processes)


def _own_address(meeting: str) -> tuple[str, bool]:
    """The address of this machine from which the meeting place is reached; whether it is that one.

    torch compares names of hosts, which need not be known by the address that was given.
    """
    import socket

    host, _, port = meeting.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--rdzv-endpoint {meeting!r} is not HOST:PORT.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect((host.strip("[]"), int(port)))  # sends nothing
        except OSError as error:
            raise SetupError(
                f"--rdzv-endpoint {meeting}: {error.strerror or error}.",
                "Give an address that every node reaches.",
            ) from error
        own, there = str(s.getsockname()[0]), str(s.getpeername()[0])
        return own, own == there


def _speak_at(address: str) -> None:
    """Has gloo and NCCL use the interface with this address, where the user has named none.

    gloo would take the address of the host's name, which is often that of the loopback.
    """
    for interface, addresses in psutil.net_if_addrs().items():
        if any(one.address.partition("%")[0] == address for one in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            if not address.startswith("127."):
                os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)


def _cause(where: Path, error: ChildFailedError, start: Start) -> PipelineError:
    rows = worker_errors.read_all(where)
    last = max((row["attempt"] for row in rows), default="0")
    rows = [row for row in rows if row["attempt"] == last or row["code"] in worker_errors.FINAL]
    if rows and not rows[0]["lost"]:
        return worker_errors.as_error(rows[0])
    failure: ProcessFailure = min(error.failures.values(), key=lambda one: one.timestamp)
    code = failure.exitcode
    ending = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return SetupError(
        f"Process {failure.pid}, rank {failure.local_rank} of this machine, {ending}; it was "
        f"started again {start.restarts} times before.",
        "SIGKILL is often the system running out of memory: halve train.batch_size. The same "
        "command goes on from the last checkpoint.",
    )


def _interruption(where: Path, error: SignalException) -> PipelineError:
    rows = [row for row in worker_errors.read_all(where) if row["code"] == Interrupted.exit_code]
    if rows:
        return worker_errors.as_error(rows[0])
    return Interrupted(
        f"Training was interrupted by {signal.Signals(error.sigval).name}.",
        "Run the same command again: it goes on from the last checkpoint.",
    )
