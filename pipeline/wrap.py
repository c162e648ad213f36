"""The graph that is exported: preprocessing → model → postprocessing, for all formats."""

import inspect
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.config import Config, InputConfig
from pipeline.errors import UsageError

IMAGE = "image"


class Preprocess(nn.Module):
    """uint8 pixels [batch, height, width, channels] of any size → float32 [batch, channels, h, w].

    Antialiased bilinear resize (as Pillow does it), pixel / 255, then (x - mean) / std.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: InputConfig) -> None:
        super().__init__()
        self.height, self.width = config.size
        self.crop = config.fit == "crop"
        shape = (1, -1, 1, 1)
        self.register_buffer("mean", torch.tensor(config.mean).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).reshape(shape), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        x = image.permute(0, 3, 1, 2).to(torch.float32) / 255.0
        if self.crop:
            x = self.centre(x)
        x = F.interpolate(x, size=(self.height, self.width), mode="bilinear", antialias=True)
        return (x - self.mean) / self.std

    def centre(self, x: Tensor) -> Tensor:
        """The largest centred part with the aspect ratio of the target."""
        height, width = x.shape[2], x.shape[3]
        rows = min(height, width * self.height // self.width)
        columns = min(width, height * self.width // self.height)
        top, left = (height - rows) // 2, (width - columns) // 2
        return x[:, :, top : top + rows, left : left + columns]


class Postprocess(nn.Module):
    """Scores → what the caller wants, along the last axis for softmax."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if self.activation == "softmax":
            return torch.softmax(x, -1)
        if self.activation == "sigmoid":
            return torch.sigmoid(x)
        return x


class Wrapped(nn.Module):
    """The user's model between pre- and postprocessing.

    Takes tensors in the order of `input_names`; gives one Tensor, or a tuple of them where the
    model has several outputs (a dict's values in its order). `keywords` says that the model is
    called by name, because its samples are dicts.
    """

    def __init__(
        self, config: Config, model: nn.Module, input_names: Sequence[str], keywords: bool = False
    ) -> None:
        super().__init__()
        image = config.input.kind == "image"
        self.pre: nn.Module | None = Preprocess(config.input) if image else None
        self.model = model
        self.post = Postprocess(config.activation)
        self.input_names = tuple(input_names)
        self.keywords = keywords

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        scores = flatten(self.call(*inputs))
        outputs = (self.post(scores[0]), *scores[1:])
        return outputs[0] if len(outputs) == 1 else outputs

    def call(self, *inputs: Tensor) -> object:
        """What the user's model gives for the caller's inputs, as it gives it."""
        if self.pre is not None:
            inputs = (self.pre(*inputs),)
        if self.keywords:
            return self.model(**dict(zip(self.input_names, inputs, strict=True)))
        return self.model(*inputs)


def flatten(given: object) -> tuple[Tensor, ...]:
    """The tensors of what a model returned, in order.

    Raises UsageError for anything but a tensor, or a tuple, list or dict of tensors.
    """
    if isinstance(given, Tensor):
        return (given,)
    values = list(given.values()) if isinstance(given, Mapping) else given
    if isinstance(values, list | tuple) and values and all(torch.is_tensor(v) for v in values):
        return tuple(values)
    inside = ""
    if isinstance(values, list | tuple):
        inside = f" of {', '.join(sorted({type(v).__name__ for v in values})) or 'nothing'}"
    raise UsageError(
        f"The model returned a {type(given).__name__}{inside}.",
        "Return a tensor, or a tuple or dict of tensors; [model] entry may wrap the model.",
    )


def output_names(config: Config, given: object) -> tuple[str, ...]:
    """Names for what a model returned: configured, or the keys of a dict, or by kind."""
    tensors = flatten(given)
    if config.output.names:
        if len(config.output.names) != len(tensors):
            raise UsageError(
                f"output.names has {len(config.output.names)} names; "
                f"the model gives {len(tensors)} outputs."
            )
        return config.output.names
    if isinstance(given, Mapping):
        return tuple(str(key) for key in given)
    first = "probabilities" if config.activation == "softmax" else "output"
    return (first, *(f"output_{index}" for index in range(1, len(tensors))))


def parameter_names(model: nn.Module, count: int) -> tuple[str, ...]:
    """Names of the first `count` parameters of a model's forward, `input_N` where it has none."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    if len(plain) >= count:
        return tuple(plain[:count])
    return tuple(f"input_{index}" for index in range(count))
