"""Inputs at the edges of what a model takes: made from its signature and a few real samples."""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config import Config
from pipeline.graph.array import Array, Row
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.domain import Domain, domains, outside
from pipeline.project.samples import Samples

BATCHES = (1, 2, 7)  # one, the smallest real batch, and one that no stage uses


@dataclass(frozen=True)
class Edge:
    """One case. `real` says that its inputs are real samples as they are; `outside` why they are
    nothing that the model was made for, so that the answers are shown and not judged."""

    case: str
    inputs: list[Array]
    real: bool = False
    outside: str | None = None

    @property
    def key(self) -> str:
        """The case as a file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.case)

    @property
    def kind(self) -> str:
        """What is swept: `values`, `size` or `batch`."""
        words = {"another size": "size", "batch of": "batch"}
        return next((kind for word, kind in words.items() if self.case.startswith(word)), "values")


def edges(config: Config, signature: Signature, samples: Samples) -> list[Edge]:
    """The cases that the signature allows, the same for every artifact and every run."""
    base = _commonest(signature, samples)
    fixed = signature.fixed_batch
    one = signature.batched(base[:1])
    names = [spec.name for spec in signature.inputs]
    known = domains(config, names, samples)
    columns = zip(*samples.inputs, strict=True)
    ranges = [_Range(column, domain) for column, domain in zip(columns, known, strict=True)]
    cases = [
        Edge("all zero", [np.zeros_like(array) for array in one]),
        Edge("all maximal", _each(one, ranges, lambda array, known: known.maximal(array))),
        Edge("noise", _each(one, ranges, lambda array, known: known.noise(array))),
    ]
    if any(array.dtype.kind == "f" for array in one):
        cases += [
            Edge("denormal", _each(one, ranges, lambda array, known: known.denormal(array))),
            Edge(
                "ten times the largest",
                _each(one, ranges, lambda array, known: known.beyond(array)),
            ),
        ]
    cases = [replace(edge, outside=outside(known, names, edge.inputs)) for edge in cases]
    cases += [Edge(case, inputs) for case, inputs in _other_sizes(config, signature, one)]
    for size in [fixed] if fixed else BATCHES:
        rows = [base[index % len(base)] for index in range(size)]
        cases.append(Edge(f"batch of {size}", signature.batched(rows), real=True))
    return cases


class _Range:
    """What was seen of one input: its smallest and largest value, mean and deviation."""

    def __init__(self, arrays: Sequence[Array], domain: Domain) -> None:
        self.domain = domain
        self.low = float(min(array.min() for array in arrays if array.size))
        self.high = float(max(array.max() for array in arrays if array.size))
        self.mean = float(np.mean([array.mean(dtype=np.float64) for array in arrays]))
        self.deviation = float(np.mean([array.std(dtype=np.float64) for array in arrays]))

    def maximal(self, like: Array) -> Array:
        """The type's largest value for booleans and 8 bits, whose whole range are answers to a
        measurement; otherwise the largest magnitude seen, since wider integers are indices and
        floats have no largest value that means anything."""
        if like.dtype.kind == "b":
            return np.ones_like(like)
        if like.dtype.kind in "iu" and like.dtype.itemsize == 1:
            return np.full_like(like, np.iinfo(like.dtype).max)
        if self.domain.columns:
            highs = np.array([high for _, high in self.domain.columns], like.dtype)
            return np.broadcast_to(highs, like.shape).copy()
        largest = max(abs(self.low), abs(self.high)) if like.dtype.kind == "f" else self.high
        return np.full_like(like, largest)

    def denormal(self, like: Array) -> Array:
        """Below the smallest normal number, where kernels that flush to zero give it away; other
        types are zero."""
        tiny = np.finfo(like.dtype).tiny / 2 if like.dtype.kind == "f" else 0
        return np.full_like(like, tiny)

    def beyond(self, like: Array) -> Array:
        """Floats of ten times the largest magnitude seen, of alternating sign; others as seen."""
        largest = self.maximal(like)
        if like.dtype.kind != "f":
            return largest
        signs = np.where(np.arange(like.size).reshape(like.shape) % 2, -1, 1)
        return (10 * largest * signs).astype(like.dtype)

    def noise(self, like: Array) -> Array:
        """Seeded: rows of the samples where numbers of their own would make no input; else normal
        with the samples' mean and deviation, or uniform over the integers."""
        rng = np.random.default_rng(zlib.crc32(b"noise"))
        drawn = self.domain.drawn(like, rng)
        if drawn is not None:
            return drawn
        if like.dtype.kind == "f":
            numbers = rng.normal(self.mean, self.deviation, like.shape).astype(like.dtype)
            return np.abs(numbers) if self.domain.low >= 0 else numbers
        low, high = int(self.low), int(self.high)
        if like.dtype.kind == "b":
            low, high = 0, 1
        elif like.dtype.itemsize == 1:
            low, high = np.iinfo(like.dtype).min, np.iinfo(like.dtype).max
        return rng.integers(low, high, like.shape, endpoint=True).astype(like.dtype)


def _commonest(signature: Signature, samples: Samples) -> list[Row]:
    """The first samples of the shape that most have, as far as they fit into one batch."""
    shapes = [tuple(array.shape for array in row) for row in samples.inputs]
    most = Counter(shapes).most_common(1)[0][0]
    rows = [row for row, shape in zip(samples.inputs, shapes, strict=True) if shape == most]
    return [row for row in rows if signature.may_share(rows[0], row)][: max(BATCHES)]


def _each(
    one: list[Array], ranges: list[_Range], make: Callable[[Array, _Range], Array]
) -> list[Array]:
    # NumPy makes plain numbers of arrays without an axis.
    return [np.asarray(make(array, known)) for array, known in zip(one, ranges, strict=True)]


def _other_sizes(
    config: Config, signature: Signature, one: list[Array]
) -> Iterator[tuple[str, list[Array]]]:
    """A real sample repeated or cut to another size along every axis that may have one.

    Two axes of an image grow and shrink by different parts, so that a swap shows. Axes that
    `[input] shapes` gives the same name keep the same size.
    """
    axes = [_free_axes(config, spec) for spec in signature.inputs]
    if not any(axes):
        return
    for word, factors in (("larger", (1.5, 1.25)), ("smaller", (0.5, 0.75))):
        inputs = []
        for array, free in zip(one, axes, strict=True):
            for axis, rank in free:
                size = max(1, round(array.shape[axis] * factors[rank]))
                if size == array.shape[axis]:
                    size += 1
                array = np.take(array, np.arange(size), axis, mode="wrap")  # noqa: PLW2901
            inputs.append(array)
        sizes = " × ".join(str(inputs[0].shape[axis]) for axis, _ in axes[0]) if axes[0] else ""
        yield f"another size, {word}{f' ({sizes})' if sizes else ''}", inputs


def _free_axes(config: Config, spec: TensorSpec) -> list[tuple[int, int]]:
    """(axis, which factor it takes) of the axes beside the batch that may have any size."""
    free = [a for a, size in enumerate(spec.shape) if a != spec.batch_axis and size is None]
    if config.input_named(spec.name).image:
        return [(axis, rank) for rank, axis in enumerate(free[:2])]
    # One factor for all: axes of one name have one size in a sample, and so keep one.
    return [(axis, 0) for axis in free]
