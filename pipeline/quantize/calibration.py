"""Calibration samples, a batch at a time: the memory does not grow with their number."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature
from pipeline.project.samples import filled, stream_batches
from pipeline.quantize.recipes import Task
from pipeline.system.progress import Silent


def calibration_batches(task: Task) -> Iterator[list[Array]]:
    """Inputs for the exported graph, in the order of its signature.

    Where the signature fixes the batch, a last batch that is too small repeats its last sample.
    """
    settings = task.config.quantize
    fixed = task.signature.inputs[0].shape[0]
    size = fixed or settings.batch_size
    count = settings.calibration_samples
    for batch in stream_batches(task.config, "calibration", count, size):
        _check(task.signature, batch)
        yield filled(batch, fixed)
        task.bar.advance(len(batch[0]), "calibrating")


def first_batches(task: Task, count: int) -> list[list[Array]]:
    """The first `count` of `calibration_batches`, fewer where there are not so many."""
    with Silent().bar("", None) as nobody:
        return list(islice(calibration_batches(replace(task, bar=nobody)), count))


def one_batch(task: Task) -> list[Array]:
    """The first calibration samples, as many as the signature's fixed batch or at most 4."""
    fixed = task.signature.inputs[0].shape[0]
    size = fixed or 4
    batch = next(stream_batches(task.config, "calibration", size, size))
    _check(task.signature, batch)
    return filled(batch, fixed)


def all_alike(config: Config, count: int, size: int) -> bool:
    """Whether the calibration samples are one and the same; stops at the first that differs."""
    first: list[Array] | None = None
    for batch in stream_batches(config, "calibration", count, size):
        first = first or [array[:1] for array in batch]
        if any(
            a.shape[1:] != b.shape[1:] or (a != b).any() for a, b in zip(batch, first, strict=True)
        ):
            return False
    return True


def _check(signature: Signature, batch: list[Array]) -> None:
    """Raises UsageError for samples that the exported graph cannot take."""
    if len(batch) != len(signature.inputs):
        raise UsageError(
            f"Calibration samples have {len(batch)} inputs, the model {len(signature.inputs)}.",
            "[data] entry: the calibration set (the training set by default) has other samples.",
        )
    for spec, array in zip(signature.inputs, batch, strict=True):
        sizes = zip(array.shape[1:], spec.shape[1:], strict=False)
        if array.ndim != len(spec.shape) or any(b is not None and a != b for a, b in sizes):
            raise UsageError(
                f"A calibration sample of {spec.name} is {list(array.shape[1:])}, "
                f"but the exported model takes {spec}.",
                "Leave axes dynamic ([export] dynamic_size), or give samples of that size.",
            )
