"""Names, element types, shapes and meanings of inputs and outputs: the signature."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pipeline.config import BATCH_AXIS, Config
from pipeline.errors import UsageError
from pipeline.export.shapes import InputAxes, fits
from pipeline.graph.signature import DTYPES, TensorSpec


@dataclass(frozen=True)
class Answer:
    """What the model gave for `samples` samples; None where no axis of its inputs counts them."""

    outputs: Sequence[Tensor]
    samples: int | None


def input_specs(
    config: Config, names: Sequence[str], axes: Sequence[InputAxes], base: Sequence[Tensor]
) -> tuple[TensorSpec, ...]:
    """What the exported model takes."""
    return tuple(
        TensorSpec(
            name,
            dtype_of(tensor, f"The input {name!r}"),
            tuple(axis if isinstance(axis, int) else None for axis in one.sizes),
            _input_meaning(config, name, one),
            one.batch,
        )
        for name, one, tensor in zip(names, axes, base, strict=True)
    )


def output_specs(
    config: Config, names: Sequence[str], answers: Sequence[Answer]
) -> tuple[TensorSpec, ...]:
    """What it gives, the first answer at the exported sizes: an axis whose size moves between the
    answers is dynamic, and the one that moves as the samples do is that of the batch.

    `[outputs]` says where that does not show. Raises UsageError if they fit neither it nor
    `[output]`.
    """
    unknown = [name for name in config.outputs if name not in names]
    if unknown:
        raise UsageError(
            f"outputs.{unknown[0]}: the model has no such output; it has {', '.join(names)}."
        )
    specs = []
    for index, name in enumerate(names):
        there = [answer for answer in answers if len(answer.outputs) > index]
        shapes = [tuple(answer.outputs[index].shape) for answer in there]
        ranks = {len(shape) for shape in shapes}
        if len(ranks) > 1 or len(shapes) != len(answers):
            raise UsageError(
                f"The number of axes of the output {name!r} depends on the input: {shapes[0]} and "
                f"{next((s for s in shapes if len(s) != len(shapes[0])), 'none')}.",
                "squeeze() without an axis drops a batch of one; name the axis: squeeze(-1).",
            )
        moving = [len(set(sizes)) > 1 for sizes in zip(*shapes, strict=True)]
        # None of what an axis counts, in no answer, is no size: there may be some another time.
        shape = tuple(
            None if moves or not size else size
            for moves, size in zip(moving, shapes[0], strict=True)
        )
        batch = _batch_axis(shapes, [answer.samples for answer in answers])
        if name in config.outputs:
            shape, batch = _as_configured(config, name, shapes, batch)
        dtype = dtype_of(answers[0].outputs[index], f"The output {name!r}")
        specs.append(TensorSpec(name, dtype, shape, _output_meaning(config, index, shape), batch))
    _check_kind(config, specs[0], answers[0].outputs[0])
    return tuple(specs)


def _batch_axis(shapes: Sequence[tuple[int, ...]], samples: Sequence[int | None]) -> int | None:
    """The first axis that has the size of the batch in every answer; of a batch that is always the
    same only the first axis of all."""
    fixed = len(set(samples)) == 1
    for axis in range(len(shapes[0])):
        if all(shape[axis] == count for shape, count in zip(shapes, samples, strict=True)):
            return axis if axis == 0 or not fixed else None
    return None


def _as_configured(
    config: Config, name: str, shapes: Sequence[tuple[int, ...]], seen: int | None
) -> tuple[tuple[int | None, ...], int | None]:
    """Shape and batch axis by `[outputs.NAME]`, held against what the model gave."""
    axes = config.outputs[name].shape
    batch = axes.index(BATCH_AXIS) if BATCH_AXIS in axes else None
    for shape in shapes:
        if not fits(axes, shape):
            raise UsageError(
                f"outputs.{name}.shape is [{', '.join(map(str, axes))}]; the model gives "
                f"{list(shape)}.",
                "Write a name for an axis of any size.",
            )
    if batch is not None and batch != seen:
        raise UsageError(
            f"outputs.{name}.shape: axis {batch} does not follow the batch"
            f"{'' if seen is None else f'; axis {seen} does'}.",
        )
    sizes = [axis if isinstance(axis, int) else None for axis in axes]
    if batch is not None and len({shape[batch] for shape in shapes}) == 1:
        sizes[batch] = shapes[0][batch]
    return tuple(sizes), batch


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
    if len(spec.shape) != 2 or spec.batch_axis != 0:
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


def _input_meaning(config: Config, name: str, axes: InputAxes) -> str:
    image = config.input_named(name).image
    if image:
        colours = {1: "grey", 3: "RGB"}.get(image.channels, f"{image.channels}-channel")
        most = {"uint8": "255", "uint16": "65535", "float32": "1"}[image.pixels]
        places = "height, width, channels" if image.layout == "nhwc" else "channels, height, width"
        return f"{colours} pixels, 0 to {most}; batch, {places}"
    names = list(axes.named.values())
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
