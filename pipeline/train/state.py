"""Everything that changes while a model is trained, and how it is saved and taken up again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pipeline.config import NO_WEIGHT_DEPENDS_ON
from pipeline.errors import UsageError
from pipeline.train import checkpoint
from pipeline.train.device import Machine
from pipeline.train.rounding import Rounding
from pipeline.workspace.stage import Job

FOLDER = "checkpoints"


@dataclass
class Progress:
    """Where a training is. `epoch` epochs are finished; `batch` batches of the next are done.

    `loss_sum` (over samples), `seen` (samples) and `seconds` are of the epoch under way, `lr` is
    that of the last step. `best_*` are of the best epoch so far, counted from 1: its metric
    (validation loss where there is no metric) and the name of its checkpoint. `waited` counts
    epochs since then. `rows` are the lines of metrics.jsonl.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    lr: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    best_at: str | None = None
    waited: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The step that is next."""
        return f"epoch {self.epoch + 1}, step {self.step + 1}"

    @property
    def name(self) -> str:
        return checkpoint.name_of(self.epoch, self.batch)


@dataclass
class Learner:
    """The model and what moves it. `forward` is `model`, or its form for several processes."""

    model: nn.Module
    forward: Callable[..., object]
    optimizer: Optimizer
    scheduler: LRScheduler | None
    scaler: torch.amp.GradScaler
    progress: Progress
    rounding: Rounding
    rehearsed: bool = False

    @property
    def lr(self) -> float:
        """The learning rate of the step that is next, of the first group of parameters."""
        return float(self.optimizer.param_groups[0]["lr"])


def fingerprint(job: Job, here: Machine, sizes: dict[str, int]) -> str:
    """SHA-256 over what the final weights depend on, as far as this process sees it."""
    config = job.config.model_dump(
        mode="json",
        include={"model", "data", "input", "output", "train"},
        exclude={"train": NO_WEIGHT_DEPENDS_ON},
    )
    ingredients = {
        "config": config,
        "qat_epochs": job.config.quantize.qat_epochs,
        "torch": torch.__version__,
        "device": f"{here.device.type} {here.device_name}",
        # Of the machine where they are shared, so that another number of processes on it goes on.
        "threads": job.config.train.threads or here.threads * here.world.local_size,
        "amp": here.amp,
        "sizes": sizes,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def plain(progress: Progress) -> dict[str, Any]:
    """For the checkpoint; `Progress(**plain(p))` is p again."""
    return asdict(progress)


def tensors_of(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers, also those that no state dict holds; tied ones once."""
    return [*model.named_parameters(), *model.named_buffers()]


def fill(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raises UsageError for a model that has other tensors than it had."""
    own = dict(tensors_of(model))
    other = sorted(own.keys() ^ tensors.keys())
    other += [key for key in own if key in tensors and own[key].shape != tensors[key].shape]
    if other:
        raise UsageError(
            f"The model has {', '.join(other[:3])} only in a part of its training.",
            "Make every parameter and buffer, in its size, when the model is built.",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def same_layout(optimizer: Optimizer) -> None:
    """Gives the optimizer's tensors the strides of their parameters, as it made them itself."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                layout = torch.empty_like(parameter, dtype=value.dtype, device=value.device)
                state[key] = layout.copy_(value)
