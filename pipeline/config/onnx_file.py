"""What an ONNX file says of its own inputs: `[model] onnx` need not say it again."""

from pathlib import Path
from typing import Any, get_args

from pipeline.config.base import Dtype
from pipeline.config.signature import BATCH_AXIS, Axes, ModelInput


def inputs_of_onnx(path: Path) -> dict[str, ModelInput]:
    """By name, in the file's order; none where it cannot be read, which opening it explains.

    The batch is the first axis of the first input. Another input has it where that axis' name
    stands, or as its first axis where that is of any size or as long as the first input's.
    """
    import onnx

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception:  # whatever is wrong with it, the model says when it is opened
        return {}
    stored = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in stored]
    shapes = {value.name: _axes(value) for value in values}
    first = next(iter(shapes.values()), ())[:1]
    return {value.name: _input(value, shapes[value.name], first) for value in values}


def _axes(value: Any) -> Axes:
    return tuple(
        dim.dim_value if dim.dim_value > 0 else dim.dim_param or f"{value.name}_{number}"
        for number, dim in enumerate(value.type.tensor_type.shape.dim)
    )


def _input(value: Any, axes: Axes, first: Axes) -> ModelInput:
    """`first` is the first axis of the first input."""
    batch: int | None = None
    if first and first[0] in axes:
        batch = axes.index(first[0]) if isinstance(first[0], str) or axes[0] == first[0] else None
    elif axes and isinstance(axes[0], str) and value.type.tensor_type.shape.dim[0].dim_param == "":
        batch = 0  # of any size, and nobody has given it a name
    named = tuple(
        BATCH_AXIS if number == batch and isinstance(axis, str) else axis
        for number, axis in enumerate(axes)
    )
    return ModelInput(value.name, axes=named, batch_axis=batch, dtype=_dtype(value))


def _dtype(value: Any) -> Dtype | None:
    import onnx

    name = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
    return next((known for known in get_args(Dtype) if known == name), None)
