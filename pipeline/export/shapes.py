"""Which axes of the inputs are of any size, and how samples are brought to another size."""

import numpy as np

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.graph.wrap import Wrapped
from pipeline.project.onnx_model import OnnxModel
from pipeline.project.samples import Samples

BATCH_AXIS = "batch"
Axes = tuple[tuple[int | str, ...], ...]
"""For each input, for each axis: its size, or a name where it is of any size. Batch first."""


def input_axes(config: Config, model: Wrapped, samples: Samples) -> Axes:
    """The axes of every input, from the configuration, the samples, and the file of a model.

    Raises UsageError where samples do not fit `[input]`.
    """
    rows = samples.inputs
    if len(rows[0]) != len(model.input_names):
        raise UsageError(
            f"A sample has {len(rows[0])} inputs; the model is called with "
            f"{len(model.input_names)}: {', '.join(model.input_names)}.",
            "Check [input] shapes and what [data] entry yields.",
        )
    axes = []
    for index, name in enumerate(model.input_names):
        shapes = [row[index].shape for row in rows]
        axes.append(_axes_of(config, name, shapes))
    return _with_file(config, model, tuple(axes))


def of_size(array: Array, axis: int, size: int) -> Array:
    """An array cut or repeated along an axis, so that its values stay those of a sample."""
    picked: Array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return picked


def dynamic_axes(axes: Axes) -> list[str]:
    """The names of the dynamic axes, each once, batch first."""
    names = [axis for shape in axes for axis in shape if isinstance(axis, str)]
    return list(dict.fromkeys(names))


def _axes_of(config: Config, name: str, shapes: list[tuple[int, ...]]) -> tuple[int | str, ...]:
    batch: int | str = BATCH_AXIS if config.export.dynamic_batch else 1
    if config.input.kind == "image" and config.export.dynamic_size:
        return (batch, "height", "width", config.input.channels)
    first = shapes[0]
    axes = config.input.shapes.get(name)
    if axes is None:
        odd = next((shape for shape in shapes if shape != first), None)
        if odd is not None:
            raise UsageError(
                f"Samples of {name} differ in shape: {list(first)} and {list(odd)}.",
                "Set [export] dynamic_size = true, or bring the pictures to one size."
                if config.input.kind == "image"
                else f'Name the axis that varies: [input] shapes = {{ {name} = ["batch", "length"'
                ", ...] }.",
            )
        return (batch, *first)
    for shape in shapes:
        _check_shape(name, axes, shape)
    # Whatever the batch axis is called in the file, here it is "batch".
    own = axes[0]
    renamed = tuple(batch if axis == own and isinstance(own, str) else axis for axis in axes[1:])
    return (batch if isinstance(own, str) else own, *renamed)


def _check_shape(name: str, axes: tuple[int | str, ...], shape: tuple[int, ...]) -> None:
    fits = len(axes) == len(shape) + 1 and all(
        isinstance(axis, str) or axis == size for axis, size in zip(axes[1:], shape, strict=True)
    )
    if not fits:
        listed = ", ".join(str(axis) for axis in axes)
        raise UsageError(
            f"input.shapes.{name} is [{listed}]; a sample, without the batch axis, {list(shape)}.",
            "Write the batch axis first, and a name for every axis that varies.",
        )


def _with_file(config: Config, model: Wrapped, axes: Axes) -> Axes:
    """Axes that an ONNX file of the user's has fixed stay fixed."""
    source = model.model
    if not isinstance(source, OnnxModel):
        return axes
    if config.input.kind == "image":
        batch = source.shapes[source.names[0]][0]
        return axes if batch is None else ((batch, *axes[0][1:]),)
    if list(model.input_names) != source.names:
        raise UsageError(
            f"{source.path.name} has the inputs {', '.join(source.names)}; "
            f"the configuration and the data give {', '.join(model.input_names)}.",
            "Give [input] shapes the names of the file, in its order.",
        )
    fixed = []
    for name, shape in zip(source.names, axes, strict=True):
        own = source.shapes[name]
        if len(own) != len(shape):
            raise UsageError(
                f"{source.path.name}: {name} has {len(own)} axes; a batch of samples {len(shape)}.",
                "Check [input] shapes: the batch axis comes first.",
            )
        pairs = zip(own, shape, strict=True)
        fixed.append(tuple(axis if size is None else size for size, axis in pairs))
    return tuple(fixed)
