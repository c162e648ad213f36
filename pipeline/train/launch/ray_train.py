"""The same training on Ray Train, on a cluster that runs already."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.devices.ray_cluster import connected
from pipeline.errors import PipelineError, SetupError, UsageError, last_line
from pipeline.train.launch import worker_errors


@dataclass(frozen=True)
class RayStart:
    """`processes` is a number or `auto`, all that the cluster has; Ray's notes go to `notes`."""

    address: str
    processes: str
    restarts: int
    notes: Path


def launch(
    start: RayStart, arguments: Sequence[str], work: Callable[[dict[str, Any]], None]
) -> None:
    """Has `work` done by the workers of a Ray cluster and waits for the end.

    `work` gets `arguments`, the working `folder`, and the folder for `errors`.

    The folders of configuration and workspace have to be on every node, under the same path.
    Raises what the first worker that failed raised.
    """
    with connected(start.address) as ray:
        try:
            from ray.train import FailureConfig, RunConfig, ScalingConfig
            from ray.train.torch import TorchTrainer
        except ImportError as error:
            raise SetupError(
                f"Ray Train cannot be imported: {error}.", "pip install 'edge-pipeline[ray]'"
            ) from error
        gpus = ray.cluster_resources().get("GPU", 0) > 0
        notes = start.notes.resolve()
        shutil.rmtree(notes, ignore_errors=True)
        errors = notes / "errors"
        errors.mkdir(parents=True, exist_ok=True)
        settings = {
            "arguments": [_absolute(word) for word in arguments],
            "folder": os.getcwd(),
            "path": sys.path,
            "errors": str(errors),
        }
        trainer = TorchTrainer(
            work,
            train_loop_config=settings,
            scaling_config=ScalingConfig(
                num_workers=_workers(ray, start.processes, gpus), use_gpu=gpus
            ),
            run_config=RunConfig(
                storage_path=str(notes), failure_config=FailureConfig(max_failures=start.restarts)
            ),
        )
        try:
            trainer.fit()
        except Exception as error:
            raise _cause(errors, error) from error
        finally:
            shutil.rmtree(notes, ignore_errors=True)


def _workers(ray: Any, processes: str, gpus: bool) -> int:
    if processes == "auto":
        return max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
    if not processes.isdigit() or int(processes) < 1:
        raise UsageError(
            f"--nproc-per-node {processes!r} is not a number of workers.", "Give a number, or auto."
        )
    return int(processes)


def _absolute(word: str) -> str:
    """A path that this command line means, for a worker that starts elsewhere."""
    return str(Path(word).resolve()) if Path(word).exists() else word


def _cause(where: Path, error: Exception) -> PipelineError:
    rows = worker_errors.read_all(where)
    if rows:
        return worker_errors.as_error(rows[0])
    return SetupError(
        f"The training on Ray failed: {last_line(error)}",
        "Look at the workers' output above, or in the dashboard of the cluster.",
    )
