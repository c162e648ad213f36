"""The graph that is exported: preprocessing → model → postprocessing, for all formats."""

import inspect
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.files import named_in_files
from pipeline.graph.preprocess import Preprocess
from pipeline.graph.structure import is_named, leaves, nested


class NamedInputs(nn.Module):
    """A model that is a file: its forward takes anything, `names` says what, in order."""

    names: list[str]


@named_in_files("wrap.Postprocess")
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


@named_in_files("wrap.Wrapped")
class Wrapped(nn.Module):
    """The user's model between pre- and postprocessing.

    Takes tensors in the order of `input_names`; gives one Tensor, or a tuple of them where the
    model has several outputs, in order. `keywords` says that the model is called by name, because
    its samples are dicts, in which the names are paths. `images` are the modules that prepare
    pictures, by the number of the input.
    """

    def __init__(
        self, config: Config, model: nn.Module, input_names: Sequence[str], keywords: bool = False
    ) -> None:
        super().__init__()
        self._images: dict[int, str] = {}
        for index, name in enumerate(input_names):
            if image := config.input_named(name).image:
                self._images[index] = pre_attribute(index, len(input_names))
                self.add_module(self._images[index], Preprocess(image))
        self.model = model
        self.post = Postprocess(config.activation)
        self.input_names = tuple(input_names)
        self.keywords = keywords

    @property
    def images(self) -> dict[int, nn.Module]:
        return {index: getattr(self, name) for index, name in self._images.items()}

    def take_images(self) -> dict[int, nn.Module]:
        """`images`, which are no longer part of it: it then takes what comes out of them."""
        taken = self.images
        for name in self._images.values():
            delattr(self, name)
        self._images = {}
        return taken

    def forget_model(self) -> None:
        """Leaves what is known of the model, without its weights."""
        self.model = nn.Identity()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.answer(*prepared(self.images, inputs))

    def answer(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Outputs for inputs that are prepared."""
        return self.outputs(self._model(inputs))

    def outputs(self, given: object) -> Tensor | tuple[Tensor, ...]:
        """What the graph gives, of what the user's model gives."""
        scores = flatten(given)
        outputs = (self.post(scores[0]), *scores[1:])
        return outputs[0] if len(outputs) == 1 else outputs

    def call(self, *inputs: Tensor) -> object:
        """What the user's model gives for the caller's inputs, as it gives it."""
        return self._model(prepared(self.images, inputs))

    def _model(self, inputs: Sequence[Tensor]) -> object:
        if self.keywords:
            return self.model(**nested(self.input_names, inputs))
        return self.model(*inputs)


def prepared(images: Mapping[int, nn.Module], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What the model takes: pictures prepared, the other inputs as they are."""
    return tuple(
        images[index](tensor) if index in images else tensor for index, tensor in enumerate(inputs)
    )


def pre_attribute(index: int, inputs: int) -> str:
    """What a graph calls the module that prepares input `index` of so many."""
    return "pre" if inputs == 1 else f"pre_{index}"


def flatten(given: object) -> tuple[Tensor, ...]:
    """The tensors of what a model returned, in order.

    Raises UsageError for what holds anything but tensors, numbers and None.
    """
    if isinstance(given, Tensor):
        return (given,)
    return tuple(tensor for _, tensor in leaves(given))


def output_names(config: Config, given: object) -> tuple[str, ...]:
    """Names for what a model returned: configured, or the keys and fields that lead to each, or by
    kind."""
    paths = [path for path, _ in leaves(given)]
    if config.output.names:
        if len(config.output.names) != len(paths):
            raise UsageError(
                f"output.names has {len(config.output.names)} names; "
                f"the model gives {len(paths)} outputs."
            )
        return config.output.names
    if is_named(given):
        return tuple(paths)
    first = "probabilities" if config.activation == "softmax" else "output"
    return (first, *(f"output_{path}" for path in paths[1:]))


def parameter_names(model: nn.Module, count: int) -> tuple[str, ...]:
    """Names of the first `count` parameters of a model's forward, `input_N` where it has none."""
    plain = _forward_parameters(model)
    if len(plain) >= count:
        return tuple(plain[:count])
    return tuple(f"input_{index}" for index in range(count))


def _forward_parameters(model: nn.Module) -> list[str]:
    if isinstance(model, torch.jit.ScriptModule):
        schema = model._c._get_method("forward").schema
        return [argument.name for argument in schema.arguments[1:]]
    if isinstance(model, NamedInputs):
        return list(model.names)
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
