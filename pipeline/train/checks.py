"""What can be wrong with data, model and loss, said before or instead of torch's own words."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pipeline.config import Config
from pipeline.errors import SetupError, UsageError, brief
from pipeline.graph.wrap import flatten, output_names
from pipeline.project.entries import user_code
from pipeline.train.data import Batch
from pipeline.train.optim import ELEMENTWISE
from pipeline.train.world import LostPeersError, is_lost


@contextmanager
def explained(config: Config, what: str) -> Iterator[None]:
    """As `user_code`, with a remedy for what torch raises most.

    Raises SetupError where memory or a compiler is what is missing.
    """
    try:
        with user_code(what, config.root):
            yield
    except UsageError as error:
        cause = error.__cause__
        if cause is None:
            raise
        raise _with_remedy(config, what, error, cause) from cause


def _with_remedy(
    config: Config, what: str, error: UsageError, cause: BaseException
) -> UsageError | SetupError:
    text = str(cause)
    train = config.train
    if is_lost(cause):
        return LostPeersError(f"{what}: another process ended or does not answer.")
    if isinstance(cause, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return SetupError(
            f"{what}: out of memory at train.batch_size = {train.batch_size}.",
            f"Halve train.batch_size and double train.accumulate (now {train.accumulate}): "
            "the same steps in less memory.",
        )
    if "Expected more than 1 value per channel" in text:
        return UsageError(
            f"{what}: batch norm cannot train on a batch of one sample.",
            f"Change train.batch_size ({train.batch_size}) so that the last batch has two or more.",
        )
    if train.compile and type(cause).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return SetupError(
            f"torch.compile failed: {brief(cause)}",
            "Set train.compile = false; on a CPU it needs a C++ compiler.",
        )
    return error


def check_outputs(config: Config, outputs: object, samples: int) -> None:
    """What the model gave for a batch of so many samples, against [output]."""
    output_names(config, outputs)
    first = flatten(outputs)[0]
    per_sample = config.output.kind != "tensor"
    scalar = first.ndim == 0 and (per_sample or config.epochs > 0)
    if scalar or (per_sample and len(first) != samples):
        raise UsageError(
            f"The model's first output is {list(first.shape)} for a batch of {samples} samples.",
            "The first axis of each output is the batch: one row for each sample.",
        )
    if config.epochs and not first.is_floating_point():
        raise UsageError(
            f"The model's first output is {str(first.dtype).removeprefix('torch.')}, which has no "
            "gradient.",
            "Return scores rather than the class numbers made of them.",
        )
    labels = config.labels()
    if labels is not None and first.ndim >= 2 and len(labels) != first.shape[-1]:
        raise UsageError(
            f"output.labels has {len(labels)} names; the model gives {first.shape[-1]} outputs.",
            "Make them agree: [output] labels, or the model's number of classes in [model] args.",
        )


def _wide(tensor: Tensor) -> list[int]:
    """Axes of a sample that are more than 1 long: [1] and [] are the same number."""
    return [size for size in tensor.shape[1:] if size != 1]


def check_targets(config: Config, batch: Batch, first: Tensor, loss: str, split: str) -> None:
    """The targets of a batch, on the CPU, against the shape of the model's first output."""
    targets = batch.targets
    if loss in ELEMENTWISE and _wide(targets) != _wide(first):
        raise UsageError(
            f"{split}: the model gives {list(first.shape[1:])} for a sample, its target is "
            f"{list(targets.shape[1:])}; {loss} compares them element by element.",
            "Give each sample a target of the output's shape (an axis of 1 does not count), or "
            "name another [train] loss.",
        )
    class_numbers = not targets.is_floating_point() and targets.ndim == first.ndim - 1
    if config.output.kind != "classification" or not class_numbers or first.shape[1] < 2:
        return
    classes = first.shape[1]
    wrong = (targets < 0) | (targets >= classes)
    ignored = config.train.loss_args.get("ignore_index")
    if ignored is not None:
        wrong &= targets != ignored
    if wrong.any():
        row = int(wrong.reshape(len(targets), -1).any(1).nonzero()[0])
        label = int(targets[row][wrong[row]].flatten()[0])
        raise UsageError(
            f"{split} sample {int(batch.indices[row])} has the label {label}; the model gives "
            f"{classes} outputs, for the labels 0 to {classes - 1}.",
            "Correct the labels in [data] entry, or the model's number of classes.",
        )


def check_finite(value: float, what: str, where: str, lr: float) -> None:
    """Raises UsageError for a loss or gradient that is NaN or infinite."""
    if not math.isfinite(value):
        raise UsageError(
            f"The {what} became {value} at {where}.",
            f"Lower train.lr (the learning rate was {lr:.3g}), or set train.clip_norm = 1.0; "
            "the samples' inputs and targets were finite.",
        )
