"""Loss and metric over a whole validation set, each sample counted once."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.structure import nested
from pipeline.graph.wrap import Postprocess, flatten
from pipeline.measure.task_metric import TaskMetric, build_metric
from pipeline.train import rng
from pipeline.train.checks import check_outputs, check_targets, explained
from pipeline.train.data import Batch, Loader, size_of, split_batches
from pipeline.train.device import Machine
from pipeline.train.optim import Loss


@dataclass(frozen=True)
class Score:
    """`loss` is the mean over the samples, None if it was not asked for; so is `metric`."""

    loss: float | None
    metric: float | None


class Validation:
    """The validation set, ready to be gone through again and again.

    The model answers in float32 without mixed precision and its first output goes through
    [output] activation: the metric is that of the graph that will be exported.
    """

    def __init__(
        self, config: Config, model: nn.Module, dataset: Dataset[object], here: Machine
    ) -> None:
        self.config = config
        self.size = size_of(dataset)
        self.world = here.world
        if self.size < self.world.size:
            raise UsageError(
                f"The validation set has {self.size} samples for {self.world.size} processes.",
                "Each needs one: make build_data return more, or start fewer processes.",
            )
        self.device = here.device
        self.loader = Loader(config, dataset, "validation", here.device)
        self.shares = split_batches(range(self.size), config.train.batch_size, self.world)
        self.post = Postprocess(config.activation)
        # One batch beforehand: it gives lazy layers their shapes, and tells the number of classes.
        first = self._first_output(model)
        classes = first.shape[-1] if first.ndim > 1 else None
        self.metric: TaskMetric | None = build_metric(config, classes)

    def score(
        self, model: nn.Module, loss: Loss | None, stopped: Callable[[], bool] = lambda: False
    ) -> Score | None:
        """Loss and metric of a model over all processes; None if `stopped` before the end.

        Every process calls it, and `stopped` has to say the same in all of them. The random
        numbers after it are those that were due before it.
        """
        total = 0.0
        if self.metric:
            self.metric.reset()
        model.eval()
        with rng.preserved(), torch.no_grad(), closing(self._batches()) as batches:
            for batch in batches:
                if stopped():
                    return None
                total += self._one(model, loss, batch)
        metric = None
        if self.metric:
            metric = self.metric.compute()
        (total,) = self.world.all_reduce(total)
        return Score(total / self.size if loss else None, metric)

    def close(self) -> None:
        self.loader.close()

    def _one(self, model: nn.Module, loss: Loss | None, batch: Batch) -> float:
        """Updates the metric; gives the sum of the losses of the batch."""
        outputs = answer(self.config, model, batch.to(self.device), "validation")
        first = flatten(outputs)[0]
        check_targets(self.config, batch, first, loss.name if loss else "", "validation")
        if not batch.counted:
            return 0.0
        if self.metric:
            self.metric.update(self.post(first.float()).cpu(), batch.targets)
        if loss is None:
            return 0.0
        value = apply_loss(self.config, loss, outputs, batch.targets.to(self.device)).item()
        return value if loss.summed else value * len(batch.indices)

    def _first_output(self, model: nn.Module) -> Tensor:
        model.eval()
        with rng.preserved(), torch.no_grad(), closing(self._batches()) as batches:
            batch = next(batches)
            outputs = answer(self.config, model, batch.to(self.device), "validation")
        check_outputs(self.config, outputs, len(batch))
        return flatten(outputs)[0]

    def _batches(self) -> Generator[Batch, None, None]:
        return self.loader.batches(0, self.shares)


def answer(config: Config, model: Callable[..., object], batch: Batch, split: str) -> object:
    """What the model gives for a batch, called as its samples ask: by position or by name."""
    shapes = ", ".join(f"{_dtype(x)}{list(x.shape)}" for x in batch.inputs)
    with explained(config, f"The model, on a {split} batch {shapes},"):
        if batch.names:
            return model(**nested(batch.names, batch.inputs))
        return model(*batch.inputs)


def apply_loss(config: Config, loss: Loss, outputs: object, targets: Tensor) -> Tensor:
    """A scalar."""
    shapes = described(flatten(outputs)[0], targets)
    with explained(config, f"train.loss: {loss.name}, on {shapes},"):
        return loss(outputs, targets)


def described(output: Tensor, targets: Tensor) -> str:
    return (
        f"outputs {_dtype(output)}{list(output.shape)} and "
        f"targets {_dtype(targets)}{list(targets.shape)}"
    )


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
