"""`[input]` and `[output]`: what a caller hands over and gets back."""

from typing import Any, Literal, Self

from pydantic import PositiveInt, model_validator

from pipeline.config.base import Section


class InputConfig(Section):
    """What a caller hands to the exported model."""

    kind: Literal["image", "tensor"] = "tensor"
    """`image`: uint8 [batch, height, width, channels] of any size, prepared inside the graph.
    `tensor`: as the model takes it."""

    size: tuple[PositiveInt, PositiveInt] = (224, 224)
    """image: height and width that the model sees."""
    channels: Literal[1, 3] = 3
    """image: 1 is grey, 3 is RGB."""
    fit: Literal["stretch", "crop"] = "stretch"
    """image: `stretch` ignores the aspect ratio; `crop` takes the largest centred part of it."""
    mean: tuple[float, ...] = (0.0,)
    """image: taken off pixel / 255; one value or one for each channel."""
    std: tuple[float, ...] = (1.0,)
    """image: what that is divided by, (pixel / 255 - mean) / std; one value or one a channel."""

    shapes: dict[str, tuple[int | str, ...]] = {}
    """tensor: shape by input name, batch first; a string names a dynamic axis:
    `{ tokens = ["batch", "length"] }`. Default: as the first sample, batch dynamic."""
    dtypes: dict[str, str] = {}
    """tensor: element type by input name. Default: as the first sample; float32 without data."""

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        image_keys = {"size", "channels", "fit", "mean", "std"} & self.model_fields_set
        tensor_keys = {"shapes", "dtypes"} & self.model_fields_set
        wrong = image_keys if self.kind == "tensor" else tensor_keys
        if wrong:
            other = "image" if self.kind == "tensor" else "tensor"
            raise ValueError(f'{", ".join(sorted(wrong))} belong to kind = "{other}"')
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, self.channels):
                raise ValueError(
                    f"{key} needs one value, or one for each of {self.channels} channels"
                )
        if any(value == 0 for value in self.std):
            raise ValueError("std must not be 0")
        for name, shape in self.shapes.items():
            if not shape or any(isinstance(axis, int) and axis < 1 for axis in shape):
                raise ValueError(f"shapes.{name}: axes are positive numbers or names")
        return self


class OutputConfig(Section):
    """What the exported model gives back, and how good answers are told from bad ones."""

    kind: Literal["classification", "regression", "tensor"] = "tensor"
    """What the first output is: scores of classes, predicted numbers, or anything else."""
    labels: tuple[str, ...] | str | None = None
    """classification: the names of the classes, or a text file with one a line."""
    activation: Literal["auto", "none", "softmax", "sigmoid"] = "auto"
    """Put behind the model's first output. `auto`: softmax for classification, else none."""
    names: tuple[str, ...] = ()
    """Names of the outputs. Default: a dict's keys, or `probabilities`, `output`, `output_1`."""
    metric: str | None = None
    """A class of torchmetrics or `module:fn` (outputs, targets) -> float. Default: `Accuracy` for
    classification, `MeanSquaredError` for regression."""
    metric_args: dict[str, Any] = {}
    """Keyword arguments for a class of torchmetrics."""
    metric_goal: Literal["auto", "max", "min"] = "auto"
    """`auto`: as torchmetrics knows it; `max` for a function of yours."""
