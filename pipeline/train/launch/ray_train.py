"""The same training on Ray Train, on a cluster that runs already."""

import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError, SetupError, UsageError
from pipeline.ray_cluster import connected
from pipeline.train.launch import told


@dataclass(frozen=True)
class RayStart:
    """`processes` is a number or `auto`, all that the cluster has; Ray's notes go to `notes`."""

    address: str
    processes: str
    restarts: int
    notes: Path


def launch(start: RayStart, arguments: Sequence[str]) -> None:
    """Runs `pipeline ARGUMENTS` in the workers of a Ray cluster and waits for the end.

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
        told_at = notes / "told"
        told_at.mkdir(parents=True, exist_ok=True)
        given = {
            "arguments": [_absolute(word) for word in arguments],
            "folder": os.getcwd(),
            "path": sys.path,
            "told": str(told_at),
        }
        trainer = TorchTrainer(
            work,
            train_loop_config=given,
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
            raise _cause(told_at, error) from error
        finally:
            shutil.rmtree(notes, ignore_errors=True)


def work(given: dict[str, Any]) -> None:
    """A worker: Ray has made the process group and set the environment of a rank."""
    os.chdir(given["folder"])
    os.environ[told.FOLDER] = given["told"]
    try:
        # The command as a user calls it, by its name: it lies above the stages.
        command = importlib.import_module("pipeline.cli").app
        command(given["arguments"], standalone_mode=False)
    except PipelineError as error:
        told.tell(error, type(error).__name__ == "LostPeersError")
        raise


def _workers(ray: Any, processes: str, gpus: bool) -> int:
    if processes == "auto":
        return max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
    if not processes.isdigit() or int(processes) < 1:
        raise UsageError(
            f"--nproc-per-node {processes!r} is no number of workers.", "Give a number, or auto."
        )
    return int(processes)


def _absolute(word: str) -> str:
    """A path that this command line means, for a worker that starts elsewhere."""
    return str(Path(word).resolve()) if Path(word).exists() else word


def _cause(where: Path, error: Exception) -> PipelineError:
    rows = told.said(where)
    if rows:
        return told.as_error(rows[0])
    said = str(error).strip().splitlines()
    return SetupError(
        f"The training on Ray failed: {said[-1] if said else type(error).__name__}",
        "Look at the workers' output above, or in the dashboard of the cluster.",
    )
