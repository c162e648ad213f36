"""What training leaves behind: weights, a line for each epoch, a summary."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from pipeline.config import Config
from pipeline.errors import SetupError
from pipeline.train.device import Machine
from pipeline.train.evaluate import Validation
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.train import TRAIN, Training, TrainingMetric
from pipeline.workspace.stage import Summary

METRICS = "metrics.jsonl"
LAST = "last.safetensors"
TENSORBOARD = "tensorboard"

Row = dict[str, Any]


class MetricsLog:
    """metrics.jsonl, and TensorBoard where it is asked for: first what is known, then row by row.

    `history` are the rows of a training that goes on; both logs begin with them.
    """

    def __init__(self, folder: Path, history: list[Row], tensorboard: bool) -> None:
        self._file = (folder / METRICS).open("w", encoding="utf-8")
        self._writer = _summary_writer(folder / TENSORBOARD) if tensorboard else None
        for row in history:
            self.add(row)

    def add(self, row: Row) -> None:
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
        if self._writer:
            for key, value in row.items():
                if key not in ("epoch", "step") and value is not None:
                    self._writer.add_scalar(key, value, row["step"])

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._writer:
            self._writer.close()


def setting(config: Config, here: Machine, model: nn.Module) -> dict[str, Any]:
    """What `Training` says of how the model was trained, whatever came of it."""
    return {
        "epochs": config.epochs,
        "seed": config.train.seed,
        "torch": torch.__version__,
        "device": here.device.type,
        "device_name": here.device_name,
        "threads": here.threads,
        "amp": here.amp,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def write_training(folder: Path, here: Machine, training: Training) -> Summary:
    """train.json, which one process of several writes."""
    if here.world.first:
        write_result(folder / TRAIN, training)
    return training.to_json()


def metric_of(validation: Validation | None, value: float | None) -> TrainingMetric | None:
    """None where the task has no metric."""
    if validation is None or validation.metric is None:
        return None
    metric = validation.metric
    return TrainingMetric(name=metric.name, goal=metric.goal, value=value)


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SetupError(
            "train.tensorboard needs the package tensorboard, which is not installed.",
            "pip install 'edge-pipeline[tensorboard]', or set train.tensorboard = false",
        ) from error
    return SummaryWriter(str(folder))
