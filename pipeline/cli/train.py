"""`pipeline train` on many processes: what starts them, and what each of them does."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.train import PROFILE_SUMMARY

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import Workspace

Processes = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Processes on this machine; auto: one for each GPU, else for each core.",
    ),
]
Nodes = Annotated[str, typer.Option(metavar="N|MIN:MAX", help="How many machines take part.")]
Meeting = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Where machines meet: the address of one of them."),
]
Restarts = Annotated[int, typer.Option(min=0, help="How often processes are restarted.")]
Launcher = Annotated[
    Literal["torchrun", "ray"], typer.Option(help="What starts the processes; ray: extra [ray].")
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="A Ray cluster; default: the one of this machine."),
]
Profile = Annotated[
    bool,
    typer.Option("--profile", help="Show where a step's time goes; keeps a trace, no weights."),
]
# Options of the launch, and whether a value follows: the processes get the line without them.
_OURS = {
    "--nproc-per-node": True,
    "--nnodes": True,
    "--rdzv-endpoint": True,
    "--max-restarts": True,
    "--launcher": True,
    "--ray-address": True,
}


def launched(processes: str | None, nodes: str, meeting: str | None, restarts: int) -> bool:
    """Starts processes with torchrun's agent and waits for them, if the options ask for some."""
    if processes is None and nodes == "1" and meeting is None:
        return False
    if "RANK" in os.environ:
        raise UsageError(
            "This process already belongs to a training: RANK is set.",
            "Under torchrun, srun or a PyTorchJob leave --nproc-per-node and --nnodes out.",
        )
    from pipeline.train.launch.torchrun import Start, launch

    start = Start(processes or "auto", nodes, meeting, restarts)
    # -P: a folder `pipeline` of the user's, where they stand, is not this one.
    launch(start, ("-P", "-m", "pipeline.cli.worker", *without_launch(sys.argv[1:])))
    return True


def launched_on_ray(
    address: str | None, processes: str | None, restarts: int, workspace: "Workspace"
) -> None:
    """Has the workers of a Ray cluster train, and waits for them."""
    from pipeline.cli.worker import on_ray
    from pipeline.train.launch.ray_train import RayStart, launch

    start = RayStart(address or "auto", processes or "auto", restarts, workspace.root / ".ray")
    launch(start, without_launch(sys.argv[1:]), on_ray)


def without_launch(arguments: Sequence[str]) -> list[str]:
    """A command line without the options that started the launch."""
    kept, skip = [], False
    for word in arguments:
        name, _, value = word.partition("=")
        if skip:
            skip = False
        elif name in _OURS:
            skip = _OURS[name] and not value
        else:
            kept.append(word)
    return kept


def many() -> bool:
    """Whether this process is one of several, as the environment tells it."""
    if "RANK" not in os.environ and "SLURM_PROCID" not in os.environ:
        return False
    from pipeline.train.world import in_environment

    variables = in_environment()
    return variables is not None and variables["WORLD_SIZE"] != "1"


def profile(
    config: "Config", workspace: "Workspace", terminal: "Terminal", wait: bool, json: bool
) -> None:
    """Trains some steps beside the workspace's training and shows the parts of a step."""
    from pipeline.cli import console, tables
    from pipeline.train import PROFILE
    from pipeline.train import profile as measure
    from pipeline.workspace.stage import Job

    out, scratch = workspace.root / PROFILE, workspace.root / ".scratch" / PROFILE
    with workspace.lock("pipeline train --profile", wait):
        shutil.rmtree(scratch, ignore_errors=True)  # of one that was killed
        for folder in (out, scratch):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            measured = measure(Job(config, {}, out, scratch, terminal))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    write_result(out / PROFILE_SUMMARY, measured)
    if json:
        console.print_json(measured)
        return
    terminal.show(tables.profile_table(measured))
    terminal.note(f"Trace: {measured.trace}, for https://ui.perfetto.dev or chrome://tracing")


def together(config: "Config", workspace: "Workspace", lead: Callable[[], None]) -> None:
    """Joins the others: rank 0 does what `lead` does, the others train with it when it trains."""
    from pipeline.system.progress import Silent
    from pipeline.train import follow
    from pipeline.train.world import joined

    with joined(config.train.timeout, config.train.device) as world:
        if world.first:
            try:
                lead()
            finally:
                dismiss()
        else:
            with tempfile.TemporaryDirectory(prefix="pipeline-") as folder:
                follow(config, workspace.root / ".scratch", Path(folder), Silent())


def dismiss() -> None:
    """Tells the others that there is nothing to train, unless they know it already."""
    from pipeline.train import dismiss_others

    if sys.exc_info()[0] is None:
        dismiss_others()


def left_to_launcher(error: PipelineError) -> bool:
    """Leaves an error to the launcher of this process: it is shown once, by that one."""
    from pipeline.train.launch import worker_errors

    if worker_errors.folder() is None:
        return False
    lost = type(error).__name__ == "LostPeersError"
    return worker_errors.write(error, lost)
