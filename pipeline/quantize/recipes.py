"""Which recipes there are for which format, what they are given and what they give back."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.system import machine
from pipeline.system.progress import Bar
from pipeline.workspace.artifacts import Artifact, Format, Precision, artifact_id


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
    """One row of the table. `module` has `apply(task: Task) -> Quantized`.

    `kinds` are the kinds of layers that it quantizes, as `onnx.graph.KINDS` names them.
    """

    name: str
    format: Format
    precision: Precision
    module: str
    kinds: tuple[str, ...]
    calibrates: bool = False

    def apply(self, task: Task) -> Quantized:
        result: Quantized = importlib.import_module(self.module).apply(task)
        return result

    def __str__(self) -> str:
        return f"{self.format}:{self.name}"


STATIC = ("convolutions", "linear layers")
DYNAMIC = ("linear layers", "recurrent layers")
LINEAR = ("linear layers",)
ALL = ("convolutions", "linear layers", "recurrent layers")

RECIPES = (
    Recipe("int8-static", "onnx", "int8", "pipeline.quantize.onnx.int8_static", STATIC, True),
    Recipe(
        "int8-static",
        "torchscript",
        "int8",
        "pipeline.quantize.torchscript.int8_static",
        STATIC,
        True,
    ),
    Recipe("int8-dynamic", "onnx", "int8", "pipeline.quantize.onnx.int8_dynamic", DYNAMIC),
    Recipe(
        "int8-dynamic", "torchscript", "int8", "pipeline.quantize.torchscript.int8_dynamic", DYNAMIC
    ),
    Recipe("int8-mixed", "onnx", "int8", "pipeline.quantize.onnx.int8_mixed", ALL, True),
    Recipe(
        "int8-weights", "onnx", "int8", "pipeline.quantize.onnx.int8_weights", ("linear layers",)
    ),
    Recipe(
        "int4-weights", "onnx", "int4", "pipeline.quantize.onnx.int4_weights", ("linear layers",)
    ),
    Recipe("fp16", "onnx", "fp16", "pipeline.quantize.onnx.fp16", ALL),
)
AUTO = "auto"  # no recipe of its own: the search tries them


@dataclass(frozen=True)
class Choice:
    """A recipe that the configuration asks for, on the artifact that it starts from. `strict`: by
    its format, so that it may not be left out."""

    recipe: Recipe
    source: Artifact
    strict: bool = False

    @property
    def artifact_id(self) -> str:
        return artifact_id(self.recipe.format, self.recipe.name)


@dataclass(frozen=True)
class Skipped:
    """A recipe that was asked for without a format, and one format where it cannot be."""

    recipe: str
    format: Format
    reason: str


def choose(config: Config, sources: list[Artifact]) -> tuple[list[Choice], list[Skipped]]:
    """What `[quantize] recipes` means for the exported fp32 artifacts, each recipe once.

    A recipe without a format is for every format that has it. Raises UsageError for one with a
    format that was not exported, that lacks the recipe, or whose model cannot take it.
    """
    choices: dict[Recipe, Choice] = {}
    skipped = []
    for given, name, source in _asked(config, sources):
        if name == AUTO:
            continue
        recipe = _find(name, source.format)
        if recipe is None:
            if ":" in given:
                raise UsageError(_no_such(given), _formats_hint(name))
            if not any(_find(name, other.format) for other in sources):
                raise UsageError(
                    f"quantize.recipes: {name!r} exists for none of the exported formats "
                    f"({', '.join(other.format for other in sources)}).",
                    _formats_hint(name),
                )
        elif left_out := _left_out(config, given, source):
            skipped.append(left_out)
        else:
            strict = ":" in given or (recipe in choices and choices[recipe].strict)
            choices[recipe] = Choice(recipe, source, strict)
    return list(choices.values()), list(dict.fromkeys(skipped))


def searched(config: Config, sources: list[Artifact]) -> tuple[list[Artifact], list[Skipped]]:
    """The fp32 artifacts that `auto` in `[quantize] recipes` searches from.

    Raises UsageError as `choose` does.
    """
    found: dict[str, Artifact] = {}
    skipped = []
    for given, name, source in _asked(config, sources):
        if name != AUTO:
            continue
        if left_out := _left_out(config, given, source):
            skipped.append(left_out)
        else:
            found[source.format] = source
    return list(found.values()), skipped


def _asked(config: Config, sources: Sequence[Artifact]) -> Iterator[tuple[str, str, Artifact]]:
    """What `[quantize] recipes` has, as it stands there, its name, and each export it is for."""
    for given in config.quantize.recipes:
        format, _, name = given.rpartition(":")
        fitting = [source for source in sources if format in ("", source.format)]
        if format and not fitting:
            raise _no_export(given, format, sources)
        yield from ((given, name, source) for source in fitting)


def _left_out(config: Config, given: str, source: Artifact) -> Skipped | None:
    """Why a recipe is not made of an export. Raises UsageError where it names the format."""
    format, _, name = given.rpartition(":")
    reason = _why_not(config, source.format)
    if reason and format:
        raise UsageError(f"quantize.recipes: {given!r}: {reason}.", _instead(name))
    return Skipped(name, source.format, reason) if reason else None


def _no_export(given: str, format: str, sources: Sequence[Artifact]) -> UsageError:
    there = ", ".join(source.format for source in sources) or "nothing"
    return UsageError(
        f"quantize.recipes: {given!r} needs the {format} export; there is {there}.",
        f"Add {format} to [export] formats, or leave {given} out.",
    )


def _find(name: str, format: Format) -> Recipe | None:
    found = (recipe for recipe in RECIPES if (recipe.name, recipe.format) == (name, format))
    return next(found, None)


def _formats_of(name: str) -> Iterator[str]:
    return (recipe.format for recipe in RECIPES if recipe.name == name)


def _no_such(given: str) -> str:
    format, _, name = given.rpartition(":")
    return f"quantize.recipes: {given!r}: there is no {name} for {format}."


def _formats_hint(name: str) -> str:
    return f"{name} exists for: {', '.join(_formats_of(name))}."


def _instead(name: str) -> str:
    return f'Write "onnx:{name}", if ONNX is exported, or leave it out.'


def _why_not(config: Config, format: Format) -> str | None:
    if format == "torchscript" and config.model.torchscript:
        return (
            f"{config.model.torchscript} is a finished TorchScript file, "
            "and only a model in Python can be quantized to TorchScript"
        )
    return None


def needs_reduced_range() -> bool:
    """Whether uint8 × int8 products can saturate here: x86 without VNNI adds pairs in 16 bits."""
    return machine.made_for() == "x86_64" and not machine.has_vnni()
