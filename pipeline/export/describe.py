"""Names, element types, shapes and meanings of inputs and outputs: the signature."""

from collections.abc import Sequence

from torch import Tensor

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.export.shapes import Axes
from pipeline.graph.signature import DTYPES, TensorSpec


def input_specs(
    config: Config, names: Sequence[str], axes: Axes, base: Sequence[Tensor]
) -> tuple[TensorSpec, ...]:
    """What the exported model takes."""
    return tuple(
        TensorSpec(
            name,
            dtype_of(tensor, f"The input {name!r}"),
            tuple(axis if isinstance(axis, int) else None for axis in shape),
            _input_meaning(config, shape),
        )
        for name, shape, tensor in zip(names, axes, base, strict=True)
    )


def output_specs(
    config: Config, names: Sequence[str], answers: Sequence[Sequence[Tensor]]
) -> tuple[TensorSpec, ...]:
    """What it gives: an axis whose size moves between the answers is dynamic.

    `answers[i]` are the outputs for one input, the first of them at the exported sizes. Raises
    UsageError if they do not fit `[output]`.
    """
    specs = []
    for index, name in enumerate(names):
        shapes = [tuple(answer[index].shape) for answer in answers if len(answer) > index]
        ranks = {len(shape) for shape in shapes}
        if len(ranks) > 1 or len(shapes) != len(answers):
            raise UsageError(
                f"The number of axes of the output {name!r} depends on the input: {shapes[0]} and "
                f"{next((s for s in shapes if len(s) != len(shapes[0])), 'none')}.",
                "squeeze() without an axis drops a batch of one; name the axis: squeeze(-1).",
            )
        moving = [len(set(sizes)) > 1 for sizes in zip(*shapes, strict=True)]
        shape = tuple(
            None if moves else size for moves, size in zip(moving, shapes[0], strict=True)
        )
        dtype = dtype_of(answers[0][index], f"The output {name!r}")
        specs.append(TensorSpec(name, dtype, shape, _output_meaning(config, index, shape)))
    _check_kind(config, specs[0], answers[0][0])
    return tuple(specs)


def dtype_of(tensor: Tensor, what: str) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise UsageError(
            f"{what} is {name}, which runtimes outside PyTorch do not support.",
            f"Convert it to one of {', '.join(DTYPES)}.",
        )
    return name


def _check_kind(config: Config, spec: TensorSpec, first: Tensor) -> None:
    if config.output.kind != "classification":
        return
    if len(spec.shape) != 2:
        raise UsageError(
            f"The output {spec.name!r} has the shape {list(first.shape)}; "
            'kind = "classification" needs [batch, classes].',
            'Return one score for each class, or set [output] kind = "tensor".',
        )
    labels = config.labels()
    if labels is not None and len(labels) != spec.shape[1]:
        raise UsageError(
            f"output.labels has {len(labels)} labels; the model gives {spec.shape[1]} classes.",
            "Give one label for each class, or build the model with as many classes.",
        )


def _input_meaning(config: Config, shape: tuple[int | str, ...]) -> str:
    if config.input.kind == "image":
        colour = "grey" if config.input.channels == 1 else "RGB"
        return f"{colour} pixels, 0 to 255; batch, height, width, channels"
    names = [str(axis) for axis in shape if isinstance(axis, str)]
    return f"of any size: {', '.join(names)}" if names else ""


def _output_meaning(config: Config, index: int, shape: tuple[int | None, ...]) -> str:
    if index:
        return ""
    if config.output.kind == "classification":
        what = {
            "softmax": "probabilities of the classes, their sum is 1",
            "sigmoid": "probability of each class by itself, 0 to 1",
            "none": "scores of the classes",
        }
        return what[config.activation]
    if config.activation != "none":
        return f"after {config.activation}"
    return "predicted values" if config.output.kind == "regression" else ""
