"""Which recipes there are for which format, what they are given and what they give back."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pipeline.config import Config
from pipeline.config.export import Format
from pipeline.config.quantize import RECIPE_ENTRY_POINTS, is_entry
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.project.entries import load_object, user_code
from pipeline.system import machine
from pipeline.system.progress import Bar
from pipeline.workspace.artifacts import Artifact, Precision

AUTO = "auto"  # no recipe of its own: the search tries them


@dataclass(frozen=True)
class Task:
    """What a recipe works on: the fp32 artifact, and the weights that it was made of.

    `scratch` is an empty folder for files in between; `bar` counts calibration samples; `target`
    is the kind of CPU that the file is for.
    """

    config: Config
    source: Artifact
    path: Path
    signature: Signature
    train: Path
    scratch: Path
    bar: Bar
    target: str
    observer: Literal["histogram", "minmax"] = "histogram"
    """TorchScript: how the range of an activation is found."""


@dataclass(frozen=True)
class Quantized:
    """The new file's bytes, and what is worth knowing of how they were made."""

    data: bytes
    made_for: str = "any"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One way to make a smaller file of one format.

    `apply(task) -> Quantized` is a function, or where it stands (`package.module:function`), so
    that a table costs no import. `kinds` are the kinds of layers that it takes, among
    `convolutions`, `linear layers` and `recurrent layers`. `calibrates`: it runs samples.
    `calibrated`: it takes a model that was calibrated once for all such recipes; what it does is
    `apply(CalibratedModel, StaticScheme, patterns, kept_float) -> ModelProto`.
    """

    name: str
    format: Format
    precision: Precision
    apply: str | Callable[..., Any]
    kinds: tuple[str, ...]
    calibrates: bool = False
    calibrated: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        if not isinstance(self.apply, str):
            return self.apply
        module, _, name = self.apply.partition(":")
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return found

    def __str__(self) -> str:
        return f"{self.format}:{self.name}"


STATIC = ("convolutions", "linear layers")
DYNAMIC = ("linear layers", "recurrent layers")
LINEAR = ("linear layers",)
ALL = ("convolutions", "linear layers", "recurrent layers")

RECIPES = (
    Recipe(
        "int8-static",
        "onnx",
        "int8",
        "pipeline.quantize.onnx.int8_static:static",
        STATIC,
        True,
        True,
    ),
    Recipe(
        "int8-static",
        "torchscript",
        "int8",
        "pipeline.quantize.torchscript.int8_static:apply",
        STATIC,
        True,
    ),
    Recipe("int8-dynamic", "onnx", "int8", "pipeline.quantize.onnx.int8_dynamic:apply", DYNAMIC),
    Recipe(
        "int8-dynamic",
        "torchscript",
        "int8",
        "pipeline.quantize.torchscript.int8_dynamic:apply",
        DYNAMIC,
    ),
    Recipe(
        "int8-mixed", "onnx", "int8", "pipeline.quantize.onnx.int8_mixed:mixed", ALL, True, True
    ),
    Recipe("int8-weights", "onnx", "int8", "pipeline.quantize.onnx.int8_weights:int8", LINEAR),
    Recipe("int4-weights", "onnx", "int4", "pipeline.quantize.onnx.int8_weights:int4", LINEAR),
    Recipe("fp16", "onnx", "fp16", "pipeline.quantize.onnx.fp16:apply", ALL),
)


def recipe_named(name: str, format: Format, config: Config) -> Recipe | None:
    """Of this program, of an installed package, or of the user's own: the one of that name for that
    format. `file.py:NAME` names a `Recipe` beside the configuration.

    Raises UsageError where such an entry is no Recipe.
    """
    own = {entry: _users(entry, config) for entry in config.quantize.recipes if is_entry(entry)}
    known = (*RECIPES, *_installed(), *own.values())
    name = own[name].name if name in own else name
    return next((one for one in known if (one.name, one.format) == (name, format)), None)


def formats_of(name: str, config: Config) -> Iterator[Format]:
    """The formats that have a recipe of that name."""
    formats: tuple[Format, ...] = ("torchscript", "onnx")
    return (format for format in formats if recipe_named(name, format, config) is not None)


@cache
def _installed() -> tuple[Recipe, ...]:
    found = []
    for point in metadata.entry_points(group=RECIPE_ENTRY_POINTS):
        with user_code(f"The recipe {point.name!r} of {point.value.partition(':')[0]}", Path()):
            recipe = point.load()
        found.append(_checked(recipe, f"The entry point {point.name} = {point.value!r}"))
    return tuple(found)


def _users(entry: str, config: Config) -> Recipe:
    key = "quantize.recipes"
    return _checked(load_object(entry, config.root, key), f"{key}: {entry!r}")


def _checked(found: object, where: str) -> Recipe:
    if isinstance(found, Recipe):
        return found
    raise UsageError(
        f"{where} is a {type(found).__name__}, not a Recipe.",
        "from pipeline import Recipe; docs/extending.md shows one.",
    )


def needs_reduced_range() -> bool:
    """Whether uint8 × int8 products can saturate here: x86 without VNNI adds pairs in 16 bits."""
    return machine.made_for() == "x86_64" and not machine.has_vnni()
