"""`[input]`, `[inputs.NAME]`, `[output]`: what a caller hands over and gets back."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pipeline.config.base import Dtype, Section

BATCH_AXIS = "batch"
"""What a shape calls the axis that counts samples."""

Axes = tuple[int | str, ...]
"""For each axis its size, or a name where it is of any size."""


class ImageConfig(Section):
    """What the exported graph does to a picture."""

    kind: Literal["image", "tensor"] = "tensor"
    """`image`: uint8 [batch, height, width, channels] of any size, prepared inside the graph.
    `tensor`: as the model takes it."""

    size: tuple[PositiveInt, PositiveInt] = (224, 224)
    """image: height and width that the model sees."""
    channels: PositiveInt = 3
    """image: 1 is grey, 3 is RGB."""
    fit: Literal["stretch", "crop", "letterbox"] = "stretch"
    """image: `stretch` ignores the aspect ratio; `crop` takes the middle of the picture,
    `letterbox` all of it, with borders."""
    crop_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """image, `crop`: the part of the shorter side that is taken. torchvision's resize to 256 and
    crop of 224 is 0.875, timm's `crop_pct`; 1 takes the largest part there is."""
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    """image, `letterbox`: the grey of the borders, from 0 to 255."""
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    """image: how it is resized."""
    antialias: bool = True
    """image: when it is made smaller, every pixel counts, as in Pillow and torchvision; without, as
    in OpenCV, some are skipped."""
    mean: tuple[float, ...] = (0.0,)
    """image: taken off pixel / 255; one value or one for each channel."""
    std: tuple[float, ...] = (1.0,)
    """image: what that is divided by, (pixel / 255 - mean) / std; one value or one a channel."""
    order: Literal["rgb", "bgr"] = "rgb"
    """image: the order of the channels that the model was trained with. The caller's pixels are
    RGB."""
    pixels: Literal["uint8", "uint16", "float32"] = "uint8"
    """image: what the caller hands over. 0 to 255; 0 to 65535 as int32, since no runtime has
    uint16; or 0 to 1."""
    layout: Literal["nhwc", "nchw"] = "nhwc"
    """image: the caller's axes, channels last or first."""

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        image_keys = ImageConfig.model_fields.keys() - {"kind"}
        tensor_keys = type(self).model_fields.keys() - ImageConfig.model_fields.keys()
        wrong = (image_keys if self.kind == "tensor" else tensor_keys) & self.model_fields_set
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
        for key, fit in (("crop_ratio", "crop"), ("pad", "letterbox")):
            if key in self.model_fields_set and self.fit != fit:
                raise ValueError(f'{key} belongs to fit = "{fit}"')
        if self.order == "bgr" and self.channels != 3:
            raise ValueError(f'order = "bgr" needs 3 channels, not {self.channels}')
        return self

    @property
    def is_picture(self) -> bool:
        """Whether what a caller hands over is what a file of a picture holds."""
        return self.pixels == "uint8" and self.layout == "nhwc" and self.channels in (1, 3)

    @property
    def pixel_type(self) -> Dtype:
        """The element type of what a caller hands over."""
        return "int32" if self.pixels == "uint16" else self.pixels


class InputConfig(ImageConfig):
    """What a caller hands to the exported model, where all inputs are of one kind."""

    shapes: dict[str, Axes] = {}
    """tensor: shape by input name; a string names a dynamic axis, and `batch` the one that counts
    samples, wherever it stands: `{ tokens = ["batch", "length"], state = [2, "batch", 64] }`.
    Where no axis is called so, it is the first. Default: as the first sample, batch dynamic."""
    dtypes: dict[str, Dtype] = {}
    """tensor: element type by input name. Default: as the first sample; float32 without data."""

    @model_validator(mode="after")
    def _shapes_are_shapes(self) -> Self:
        for name, shape in self.shapes.items():
            if not shape:
                raise ValueError(
                    f"shapes.{name} has no axis; a scalar is written [inputs.{name}] shape = []"
                )
            _check_axes(f"shapes.{name}", shape)
        return self


class ValuesConfig(Section):
    """What an input may hold. What is made up to try the model stays inside; so does noise."""

    min: float | None = None
    """The smallest value."""
    max: float | None = None
    """The largest value."""
    integers: bool = False
    """Only whole numbers, whatever the element type."""
    one_of: tuple[float, ...] = ()
    """The only values that there are."""
    sorted: bool = False
    """Along the last axis of a sample no value is below the one before it."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min:g}, above max, {self.max:g}")
        if self.one_of and (self.min is not None or self.max is not None):
            raise ValueError("one_of says all; leave min and max out")
        return self


class NamedInputConfig(ImageConfig):
    """One input of several, instead of `[input]`; NAME is that of the model's parameter, and the
    tables stand in the order of the parameters."""

    shape: Axes | None = None
    """tensor: a string names a dynamic axis; `batch` is the one that counts samples, and an input
    where it does not stand has none: `[2, "batch", 128]`, `[]`. Default: as the first sample, the
    batch in front."""
    dtype: Dtype | None = None
    """tensor: element type. Default: as the first sample; float32 without data."""
    values: ValuesConfig | None = None
    """tensor: what it may hold, `{ min = 0, max = 30521 }`. Default: what the samples show."""
    sizes: dict[str, tuple[PositiveInt, ...]] = {}
    """tensor: by the name of a dynamic axis, the sizes that are tried: `{ length = [8, 512] }`.
    Default: sizes around those of the samples."""

    @model_validator(mode="after")
    def _sizes_have_an_axis(self) -> Self:
        _check_axes("shape", self.shape or ())
        unknown = [axis for axis in self.sizes if axis not in (self.shape or ())]
        if unknown:
            raise ValueError(f"sizes.{unknown[0]}: shape has no axis of that name")
        return self


class NamedOutputConfig(Section):
    """One output, where the model alone does not show all of its shape: one whose rows depend on
    what is in the input, or whose batch has another axis. What it is scored by is `[output]`'s."""

    shape: Axes
    """A string names an axis of any size; `batch` is the one that counts samples, and an output
    where it does not stand has none: `["detections", 4]`."""

    @model_validator(mode="after")
    def _is_a_shape(self) -> Self:
        _check_axes("shape", self.shape)
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


@dataclass(frozen=True)
class ModelInput:
    """One input, whichever way it is configured.

    `image` is None for a tensor. `axes` are None where the samples say them; `batch_axis` None
    where no axis counts samples, so that all samples of a batch share the input.
    """

    name: str
    image: ImageConfig | None = None
    axes: Axes | None = None
    batch_axis: int | None = 0
    dtype: Dtype | None = None
    values: ValuesConfig | None = None
    sizes: Mapping[str, tuple[int, ...]] | None = None
    taken: tuple[str, ...] = ()
    """Keys of `image` that the model itself says."""

    def completed(self, file: "ModelInput") -> "ModelInput":
        """With what the file of a model says of it, where the configuration does not."""
        said = self.axes is not None
        axes, batch = (self if said else file).axes, (self if said else file).batch_axis
        return replace(self, axes=axes, batch_axis=batch, dtype=self.dtype or file.dtype)

    def as_trained(self, keys: Mapping[str, Any]) -> "ModelInput":
        """With what a model says of its pictures, where the configuration does not."""
        if self.image is None:
            return self
        own = self.image.model_fields_set
        update = {key: value for key, value in keys.items() if key not in own}
        apart = [] if self.image.model_copy(update=update).fit == "crop" else ["crop_ratio"]
        if self.image.channels != 3 or {"mean", "std"} & own:
            apart += ["mean", "std"]  # of three channels, and one goes with the other
        for key in apart:
            update.pop(key, None)
        image = self.image.model_copy(update=update)
        return replace(self, image=image, taken=tuple(update))

    @property
    def sample_axes(self) -> Axes | None:
        """Those of one sample: without that of the batch."""
        if self.axes is None:
            return None
        return tuple(axis for index, axis in enumerate(self.axes) if index != self.batch_axis)


def inputs_of_short_form(config: InputConfig) -> dict[str, ModelInput]:
    """By name; none where nothing is said."""
    if config.kind == "image":
        return {"image": ModelInput("image", config, dtype=config.pixel_type)}
    said = any(BATCH_AXIS in axes for axes in config.shapes.values())
    found = {}
    for name, given in config.shapes.items():
        axes = given
        if not said and isinstance(axes[0], str):  # whatever it is called, here it is "batch"
            axes = tuple(BATCH_AXIS if axis == axes[0] else axis for axis in axes)
        first = None if said else 0
        batch = axes.index(BATCH_AXIS) if BATCH_AXIS in axes else first
        found[name] = ModelInput(name, axes=axes, batch_axis=batch, dtype=config.dtypes.get(name))
    return found


def inputs_of_tables(tables: Mapping[str, NamedInputConfig]) -> dict[str, ModelInput]:
    """By name."""
    return {name: _of_table(name, table) for name, table in tables.items()}


def _of_table(name: str, table: NamedInputConfig) -> ModelInput:
    if table.kind == "image":
        return ModelInput(name, table, dtype=table.pixel_type)
    axes = table.shape
    batch = 0 if axes is None else axes.index(BATCH_AXIS) if BATCH_AXIS in axes else None
    return ModelInput(name, None, axes, batch, table.dtype, table.values, table.sizes)


def _check_axes(key: str, axes: Axes) -> None:
    if any(isinstance(axis, int) and axis < 1 for axis in axes):
        raise ValueError(f"{key}: axes are positive numbers or names")
    if Counter(axes)[BATCH_AXIS] > 1:
        raise ValueError(f"{key}: one axis alone counts samples; give the other one another name")
