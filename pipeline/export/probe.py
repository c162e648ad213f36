"""What the model takes and gives, found by running it, and the inputs that exports are tried on.

An exporter sees one input; what it makes must answer for others. So the probe runs the reference
at other batch sizes, other sizes of each dynamic axis and other values, and keeps its answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.config import BATCH_AXIS, Config
from pipeline.errors import PipelineError, UsageError
from pipeline.export.describe import Answer, input_specs, output_specs
from pipeline.export.shapes import (
    InputAxes,
    dynamic_axes,
    input_axes,
    of_size,
    size_in,
    with_size,
)
from pipeline.graph.array import Array, Row
from pipeline.graph.signature import Signature, stacked
from pipeline.graph.structure import is_flat
from pipeline.graph.wrap import Wrapped, flatten, output_names
from pipeline.project.domain import Domain, domains, outside
from pipeline.project.entries import user_code
from pipeline.project.samples import Samples

Tensors = tuple[Tensor, ...]

BATCH = 2  # of the input that exporters see: torch.export takes 0 and 1 for constants
OTHER_BATCHES = (1, 3)
ONE = 1  # sample shows what another size or other values do
LARGEST = 320  # of a picture; a larger first sample only makes probing slower


@dataclass(frozen=True)
class Case:
    """An input that differs from the exported one in `axis`, or in values alone (axis None)."""

    name: str
    axis: str | None
    inputs: Tensors
    expected: Tensors


@dataclass(frozen=True)
class Probe:
    """`cases[0]` holds the input that exporters see. `keys`: of an output that is a dict.
    `flat`: it gives nothing but tensors, in no deeper structure. `has_softmax`: its first output is
    probabilities already. `renamed`: outputs that had the name of an input, and what they are
    called instead."""

    axes: tuple[InputAxes, ...]
    cases: tuple[Case, ...]
    signature: Signature
    keys: tuple[str, ...] | None
    flat: bool
    has_softmax: bool
    renamed: Mapping[str, str]

    @property
    def base(self) -> Tensors:
        return self.cases[0].inputs


def probe(config: Config, model: Wrapped, samples: Samples) -> Probe:
    """Runs the reference at different sizes and values.

    Raises UsageError if outputs are no tensors, do not fit `[output]` or change from run to run,
    or if the model itself refuses another size of an axis that is to be dynamic.
    """
    prober = _Prober(config, model, input_axes(config, model, samples))
    arrays = prober.base_arrays(samples.inputs[0])
    base = prober.batch([arrays])
    try:
        raw = prober.raw(base)
    except UsageError as error:
        raise UsageError(error.message, error.hint or _of_noise(samples)) from error
    expected = prober.outputs(raw)
    prober.check_repeatable(base, expected)
    first = Case("as exported", None, base, expected)
    rows = [prober.base_arrays(row) for row in samples.inputs]
    known = domains(config, model.input_names, samples)
    cases = [first, *prober.size_cases(arrays), *prober.value_cases(arrays, rows, known)]
    names = output_names(config, raw)
    renamed = _apart(names, model.input_names)
    names = tuple(renamed.get(name, name) for name in names)
    signature = Signature(
        input_specs(config, model.input_names, prober.axes, base),
        output_specs(config, names, [prober.counted(case) for case in cases]),
    )
    keys = tuple(str(key) for key in raw) if isinstance(raw, Mapping) else None
    softmax = _sums_to_one(flatten(raw)[0])
    return Probe(prober.axes, tuple(cases), signature, keys, is_flat(raw), softmax, renamed)


def _of_noise(samples: Samples) -> str | None:
    """What helps where a model refuses noise: it may be made for other values."""
    if not samples.synthetic:
        return None
    return (
        "Without [data] entry it was given noise: say what the inputs may hold, "
        "[inputs.NAME] values = { min = 0, max = 9 }, or give it samples of yours."
    )


def _apart(outputs: Sequence[str], inputs: Sequence[str]) -> dict[str, str]:
    """Other names for outputs that are called as an input is, which no ONNX graph can hold."""
    taken = {*outputs, *inputs}
    renamed = {}
    for name in outputs:
        if name in inputs:
            other = f"{name}_out"
            while other in taken:
                other += "_"
            taken.add(other)
            renamed[name] = other
    return renamed


def _sums_to_one(scores: Tensor) -> bool:
    """Whether every row of several numbers is none below 0 and 1 together."""
    if not scores.is_floating_point() or scores.ndim < 1 or scores.shape[-1] < 2:
        return False
    sums = scores.detach().double().sum(-1)
    return bool((scores >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3))


class _Prober:
    """Makes inputs of any size out of samples, and runs the reference on them."""

    def __init__(self, config: Config, model: Wrapped, axes: tuple[InputAxes, ...]) -> None:
        self.config = config
        self.model = model
        self.axes = axes

    def raw(self, inputs: Tensors) -> object:
        """What the user's model returns, as it returns it."""
        with torch.no_grad(), user_code("The model, run on a sample,", self.config.root):
            return self.model.call(*(tensor.clone() for tensor in inputs))

    def outputs(self, given: object) -> Tensors:
        """The graph's, of what the user's model returned."""
        with torch.no_grad():
            return tuple(t.detach().clone() for t in flatten(self.model.outputs(given)))

    def answer(self, inputs: Tensors, what: str) -> Tensors:
        with torch.no_grad(), user_code(f"The model, run on {what},", self.config.root):
            given = self.model.call(*(tensor.clone() for tensor in inputs))
        return self.outputs(given)

    def check_repeatable(self, inputs: Tensors, expected: Tensors) -> None:
        before = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        again = self.answer(inputs, "the first sample")
        changed = [
            name.removeprefix("model.")
            for name, buffer in self.model.named_buffers()
            if name in before and not torch.equal(buffer, before[name])
        ]
        for one, other in zip(expected, again, strict=True):
            if one.shape != other.shape or not torch.equal(one.nan_to_num(), other.nan_to_num()):
                if changed:
                    raise UsageError(
                        "The model answers differently when it is run twice on the same input: its "
                        f"forward changes {', '.join(changed[:3])}.",
                        "An exported model keeps nothing between calls: take the state as an input "
                        "and give it back as an output, or change it only `if self.training`.",
                    )
                raise UsageError(
                    "The model answers differently when it is run twice on the same input.",
                    "Switch randomness off in evaluation mode: its answers cannot be compared.",
                )

    def base_arrays(self, row: Row) -> Row:
        """A sample of moderate size; torch.export takes an axis of 1 for a constant."""
        sizes: dict[str, int] = {}
        resized = []
        for number, (array, axes) in enumerate(zip(row, self.axes, strict=True)):
            most = LARGEST if number in self.model.images else array.size
            for index, axis in enumerate(axes.of_sample):
                if isinstance(axis, int):
                    continue
                size = sizes.setdefault(axis, max(2, min(array.shape[index], most)))
                array = of_size(array, index, size)  # noqa: PLW2901
            resized.append(array)
        return tuple(resized)

    def batch(self, rows: list[Row], count: int = BATCH) -> Tensors:
        """Rows, repeated to `count`, or to as many as an input of a fixed batch size takes."""
        tensors = []
        for index, axes in enumerate(self.axes):
            column = [rows[row % len(rows)][index] for row in range(axes.fixed_batch or count)]
            tensors.append(torch.from_numpy(np.asarray(stacked(column, axes.batch), order="C")))
        return tuple(tensors)

    def counted(self, case: Case) -> Answer:
        """What it answered, and to how many samples; none where no axis counts them."""
        counts = [
            int(tensor.shape[axes.batch])
            for tensor, axes in zip(case.inputs, self.axes, strict=True)
            if axes.batch is not None
        ]
        return Answer(case.expected, counts[0] if counts else None)

    def size_cases(self, arrays: Row) -> Iterator[Case]:
        """Other batch sizes, which the model must take, and other sizes of each dynamic axis."""
        for axis in dynamic_axes(self.axes):
            if axis == BATCH_AXIS:
                for count in OTHER_BATCHES:
                    inputs = self.batch([arrays], count)
                    name = f"a batch of {count}"
                    yield Case(name, axis, inputs, self._required(inputs, axis, name))
            else:
                yield from self._axis_cases(arrays, axis)

    def _axis_cases(self, arrays: Row, axis: str) -> Iterator[Case]:
        """Sizes that the model takes: all that are configured, else a smaller and a larger one, odd
        where the sample's is even if that is taken."""
        size = size_in(arrays, self.axes, axis)
        configured = self._configured(axis)
        refused: PipelineError | None = None
        taken: set[bool] = set()
        for other in configured or dict.fromkeys((size + 3, size - 1, size // 2, 2 * size)):
            larger = other > size
            if other < 1 or other == size or (larger in taken and not configured):
                continue
            inputs = self.batch([with_size(arrays, self.axes, axis, other)], ONE)
            name = f"{axis} {other}"
            try:
                expected = self.answer(inputs, name)
            except PipelineError as error:
                if configured:
                    raise UsageError(
                        f"The model itself does not take {axis} = {other}: {error.message}",
                        "Change sizes of [inputs], which says that it does.",
                    ) from error
                refused = error
                continue
            taken.add(larger)
            yield Case(name, axis, inputs, expected)
        if not taken and refused is not None:
            raise UsageError(
                f"The axis {axis!r} is to be of any size, but the model takes only {size}: "
                f"{refused.message}",
                f"Give the shape the number {size} instead of {axis!r}, or say which sizes it "
                "takes: [inputs.NAME] sizes.",
            ) from refused

    def _configured(self, axis: str) -> tuple[int, ...]:
        """The sizes that `[inputs]` says of an axis."""
        for name in self.model.input_names:
            sizes = (self.config.input_named(name).sizes or {}).get(axis)
            if sizes:
                return sizes
        return ()

    def value_cases(
        self,
        arrays: Row,
        rows: list[Row],
        known: Sequence[Domain],
    ) -> Iterator[Case]:
        """Other samples and extreme values: what a branch on the input may take another way at.
        Values that no sample is like are no case."""
        for name, other in (
            ("other samples", rows[1:]),
            ("the smallest values", [tuple(np.full_like(a, a.min()) for a in arrays)]),
            ("the largest values", [tuple(_largest(a) for a in arrays)]),
            ("zeros", [tuple(_zeros(a) for a in arrays)]),
            ("negated values", [tuple(-a if a.dtype.kind == "f" else np.flip(a) for a in arrays)]),
            ("ten times the values", [tuple(a * 10 if a.dtype.kind == "f" else a for a in arrays)]),
        ):
            same_shape = [row for row in other if _shapes(row) == _shapes(arrays)]
            if not same_shape:
                continue
            if name != "other samples" and outside(known, self.model.input_names, same_shape[0]):
                continue
            # Of other samples two, which may answer otherwise together than a repeated one.
            count = BATCH if name == "other samples" else ONE
            inputs = self.batch(
                [tuple(np.asarray(a, order="C") for a in row) for row in same_shape], count
            )
            try:
                yield Case(name, None, inputs, self.answer(inputs, name))
            except PipelineError:
                continue  # values that the model refuses are no case to compare

    def _required(self, inputs: Tensors, axis: str, name: str) -> Tensors:
        try:
            return self.answer(inputs, name)
        except PipelineError as error:
            raise UsageError(
                f"The model itself cannot take {name}: {error.message}",
                "Write it for any batch size (x.flatten(1), x.shape[0]), "
                "or set [export] dynamic_batch = false.",
            ) from error


def _largest(array: Array) -> Array:
    """255 for pixels; of other inputs the largest value that the sample has."""
    return np.full_like(array, 255 if array.dtype == np.uint8 else array.max())


def _zeros(array: Array) -> Array:
    """Zero for pixels and real numbers; for indices the smallest that the sample has."""
    return np.zeros_like(array) if array.dtype.kind in "fu" else np.full_like(array, array.min())


def _shapes(row: Row) -> list[tuple[int, ...]]:
    return [array.shape for array in row]
