"""Calibration samples, a batch at a time: the memory does not grow with their number."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.array import Array, Row
from pipeline.graph.signature import Signature
from pipeline.project.samples import stream_samples
from pipeline.quantize.recipes import Task
from pipeline.system.progress import Silent


def calibration_batches(task: Task) -> Iterator[list[Array]]:
    """Inputs for the exported graph, in the order of its signature.

    Where the signature fixes the batch, a last batch that is too small repeats its last sample.
    """
    settings, signature = task.config.quantize, task.signature
    size = signature.fixed_batch or settings.batch_size
    rows = _checked(task, settings.calibration_samples)
    for group in signature.grouped(rows, size):
        yield signature.batched(group)
        task.bar.advance(len(group), "calibrating")


def first_batches(task: Task, count: int) -> list[list[Array]]:
    """The first `count` of `calibration_batches`, fewer where there are not so many."""
    with Silent().bar("", None) as nobody:
        return list(islice(calibration_batches(replace(task, bar=nobody)), count))


def one_batch(task: Task) -> list[Array]:
    """The first calibration samples, as many as the signature's fixed batch or at most 4."""
    size = task.signature.fixed_batch or 4
    first = next(task.signature.grouped(_checked(task, size), size))
    return task.signature.batched(first)


def all_alike(config: Config, count: int) -> bool:
    """Whether the calibration samples are one and the same; stops at the first that differs."""
    rows = stream_samples(config, "calibration", count)
    first = next(rows)
    return all(np.array_equal(a, b) for row in rows for a, b in zip(row, first, strict=True))


def _checked(task: Task, count: int) -> Iterator[Row]:
    """Raises UsageError for samples that the exported graph cannot take."""
    for row in stream_samples(task.config, "calibration", count):
        _check(task.signature, row)
        yield row


def _check(signature: Signature, row: Row) -> None:
    if len(row) != len(signature.inputs):
        raise UsageError(
            f"Calibration samples have {len(row)} inputs, the model {len(signature.inputs)}.",
            "[data] entry: the calibration set (the training set by default) has other samples.",
        )
    for spec, array in zip(signature.inputs, row, strict=True):
        sizes = zip(array.shape, spec.sample_shape, strict=False)
        rank = len(spec.sample_shape)
        if array.ndim != rank or any(b is not None and a != b for a, b in sizes):
            raise UsageError(
                f"A calibration sample of {spec.name} is {list(array.shape)}, "
                f"but the exported model takes {spec}.",
                "Leave axes dynamic ([export] dynamic_size), or give samples of that size.",
            )
