"""The axes of the inputs: which are of any size, and which counts samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config import BATCH_AXIS, Axes, Config, ModelInput
from pipeline.errors import UsageError
from pipeline.graph.array import Array, Row
from pipeline.graph.wrap import Wrapped
from pipeline.project.onnx_model import OnnxModel
from pipeline.project.samples import Samples


@dataclass(frozen=True)
class InputAxes:
    """Of one input: for each axis its size, or a name where it is of any size; `batch` is the one
    that counts samples, None where there is none."""

    sizes: Axes
    batch: int | None

    @property
    def of_sample(self) -> Axes:
        """Those of a sample's array: without that of the batch."""
        return tuple(axis for index, axis in enumerate(self.sizes) if index != self.batch)

    @property
    def fixed_batch(self) -> int | None:
        size = None if self.batch is None else self.sizes[self.batch]
        return size if isinstance(size, int) else None

    @property
    def named(self) -> dict[int, str]:
        """The axes of any size."""
        return {index: axis for index, axis in enumerate(self.sizes) if isinstance(axis, str)}


def input_axes(config: Config, model: Wrapped, samples: Samples) -> tuple[InputAxes, ...]:
    """The axes of every input, from the configuration, the samples, and the file of a model.

    Raises UsageError where samples do not fit `[input]`.
    """
    rows = samples.inputs
    if len(rows[0]) != len(model.input_names):
        raise UsageError(
            f"A sample has {len(rows[0])} inputs; the model is called with "
            f"{len(model.input_names)}: {', '.join(model.input_names)}.",
            "Check [inputs] or [input] shapes, and what [data] entry yields.",
        )
    axes = tuple(
        _axes_of(config, config.input_named(name), [row[index].shape for row in rows])
        for index, name in enumerate(model.input_names)
    )
    for row in rows:
        _check_names(model.input_names, axes, row)
    return _with_file(model, axes)


def _check_names(names: Sequence[str], axes: Sequence[InputAxes], row: Row) -> None:
    """An axis of one name has one size in a sample."""
    seen: dict[str, tuple[str, int]] = {}
    for name, one, array in zip(names, axes, row, strict=True):
        for axis, size in zip(one.of_sample, array.shape, strict=True):
            if isinstance(axis, int):
                continue
            first, other = seen.setdefault(axis, (name, size))
            if other != size:
                raise UsageError(
                    f"The axis {axis!r} is {other} long in {first} and {size} in {name}, in one "
                    "sample.",
                    "Give axes of different sizes different names in the shapes of [inputs].",
                )


def fits(axes: Axes, shape: tuple[int, ...]) -> bool:
    """Whether a shape has these axes, those with a name of any size."""
    return len(axes) == len(shape) and all(
        isinstance(axis, str) or axis == size for axis, size in zip(axes, shape, strict=True)
    )


def of_size(array: Array, axis: int, size: int) -> Array:
    """An array cut or repeated along an axis, so that its values stay those of a sample."""
    picked: Array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return picked


def with_size(row: Row, axes: Sequence[InputAxes], name: str, size: int) -> Row:
    """A sample in which every axis of that name has another size."""
    resized = []
    for array, one in zip(row, axes, strict=True):
        for index, axis in enumerate(one.of_sample):
            if axis == name:
                array = of_size(array, index, size)  # noqa: PLW2901
        resized.append(array)
    return tuple(resized)


def size_in(row: Row, axes: Sequence[InputAxes], name: str) -> int:
    """The size of the axis of that name in a sample."""
    return next(
        int(array.shape[one.of_sample.index(name)])
        for array, one in zip(row, axes, strict=True)
        if name in one.of_sample
    )


def dynamic_axes(axes: Sequence[InputAxes]) -> list[str]:
    """The names of the dynamic axes, each once, that of the batch first."""
    names = dict.fromkeys(axis for one in axes for axis in one.named.values())
    return sorted(names, key=lambda name: name != BATCH_AXIS)


def _axes_of(config: Config, known: ModelInput, shapes: list[tuple[int, ...]]) -> InputAxes:
    batch: int | str = BATCH_AXIS if config.export.dynamic_batch else 1
    if known.image and config.export.dynamic_size:
        several = sum(one.image is not None for one in config.named_inputs.values()) > 1
        height, width = (f"{known.name}_{a}" if several else a for a in ("height", "width"))
        axes: Axes = (batch, height, width, known.image.channels)
        if known.image.layout == "nchw":
            axes = (batch, known.image.channels, height, width)
        return InputAxes(axes, 0)
    if known.axes is not None:
        for shape in shapes:
            _check_shape(known, shape)
        sizes = tuple(batch if axis == BATCH_AXIS else axis for axis in known.axes)
        return InputAxes(sizes, known.batch_axis)
    first = shapes[0]
    odd = next((shape for shape in shapes if shape != first), None)
    if odd is not None:
        raise UsageError(
            f"Samples of {known.name} differ in shape: {list(first)} and {list(odd)}.",
            "Set [export] dynamic_size = true, or bring the pictures to one size."
            if known.image
            else f'Name the axis that varies: [inputs.{known.name}] shape = ["batch", "length", '
            "...].",
        )
    return InputAxes((batch, *first), 0)


def _check_shape(known: ModelInput, shape: tuple[int, ...]) -> None:
    if not fits(known.sample_axes or (), shape):
        listed = ", ".join(str(axis) for axis in known.axes or ())
        without = ", without the batch axis," if known.batch_axis is not None else ""
        raise UsageError(
            f"The shape of {known.name} is [{listed}] by the configuration; a sample{without} has "
            f"{list(shape)}.",
            f'Write "{BATCH_AXIS}" for the axis that counts samples, which a sample lacks, and a '
            "name for every axis that varies.",
        )


def _with_file(model: Wrapped, axes: tuple[InputAxes, ...]) -> tuple[InputAxes, ...]:
    """Axes that an ONNX file of the user's has fixed stay fixed."""
    source = model.model
    if not isinstance(source, OnnxModel):
        return axes
    if list(model.input_names) != source.names and not model.images:
        raise UsageError(
            f"{source.path.name} has the inputs {', '.join(source.names)}; "
            f"the configuration and the data give {', '.join(model.input_names)}.",
            "Give the configuration the names of the file, in its order.",
        )
    return tuple(
        _as_in_file(source, name, one, index in model.images)
        for index, (name, one) in enumerate(zip(source.names, axes, strict=True))
    )


def _as_in_file(source: OnnxModel, name: str, axes: InputAxes, image: bool) -> InputAxes:
    own = source.shapes[name]
    if image:  # of which the file sees what comes out of the preprocessing
        return axes if own[0] is None else replace(axes, sizes=(own[0], *axes.sizes[1:]))
    if len(own) != len(axes.sizes):
        raise UsageError(
            f"{source.path.name}: {name} has {len(own)} axes; a batch of samples has "
            f"{len(axes.sizes)}.",
            f"Say which axes it has: [inputs.{name}] shape.",
        )
    return replace(axes, sizes=tuple(_fixed(own, axes.sizes)))


def _fixed(own: Sequence[int | None], sizes: Axes) -> Iterator[int | str]:
    for known, axis in zip(own, sizes, strict=True):
        yield axis if known is None else known
