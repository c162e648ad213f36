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
from pipeline.workspace.artifacts import write_json
from pipeline.workspace.stage import Summary

METRICS = "metrics.jsonl"
SUMMARY = "train.json"
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


def write_summary(
    config: Config, folder: Path, here: Machine, model: nn.Module, extra: Summary
) -> Summary:
    """train.json. No times and no paths: the same training gives the same bytes."""
    summary: Summary = {
        "epochs": config.epochs,
        "seed": config.train.seed,
        "torch": torch.__version__,
        "device": here.device.type,
        "device_name": here.device_name,
        "threads": here.threads,
        "amp": here.amp,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **extra,
    }
    if here.world.first:
        write_json(folder / SUMMARY, summary)
    return summary


def metric_of(validation: Validation | None, value: float | None) -> Summary | None:
    """The metric as JSON; None where there is none."""
    if validation is None or validation.metric is None:
        return None
    metric = validation.metric
    return {"name": metric.name, "goal": metric.goal, "value": value}


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SetupError(
            "train.tensorboard needs the package tensorboard, which is not installed.",
            "pip install 'edge-pipeline[tensorboard]', or set train.tensorboard = false",
        ) from error
    return SummaryWriter(str(folder))
