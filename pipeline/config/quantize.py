"""`[quantize]`."""

from collections.abc import Collection
from importlib import metadata
from typing import Literal

from pydantic import PositiveFloat, PositiveInt, field_validator

from pipeline.config.base import Count, Drop, Section

RECIPES = (
    *("auto", "int8-static", "int8-mixed", "int8-dynamic", "int8-weights", "int4-weights"),
    "fp16",
)


RECIPE_ENTRY_POINTS = "edge_pipeline.recipes"  # of installed packages


class QuantizeConfig(Section):
    recipes: tuple[str, ...] = ("auto",)
    """`auto`: the search, which ships the fastest artifact inside `max_drop`, or float and says
    why. Named ones are made the usual way: `int8-static`, `int8-mixed`, `int8-dynamic`,
    `int8-weights`, `int4-weights`, `fp16`. With a format before it, for that format alone:
    `onnx:int8-dynamic`. A recipe of yours: `file.py:NAME`, or one that a package brings."""
    gate: bool = True
    """Whether a named int8 or int4 recipe, too, ships only inside `max_drop` and where it is
    measurably faster than fp32 on this machine (or smaller, by the objective). `false` ships it as
    it is."""
    targets: tuple[Literal["x86_64", "arm64"], ...] = ()
    """auto: the CPUs that artifacts are made for, `["x86_64", "arm64"]`. Default: this one's."""
    max_drop: Drop | None = None
    """How much worse the metric may be than fp32's, absolute, here and in `verify`; where
    `[verify.tolerances.PRECISION] max_drop` is set, that counts for the precision, here too.
    Default: 0.01, and a twentieth of fp32's own where the metric is an error."""
    objective: Literal["latency", "size"] = "latency"
    """What is to be small, as long as the drop allows it."""
    budget_minutes: PositiveFloat = 10.0
    """auto: the search ends after so many minutes, or earlier with all candidates tried."""
    validation_samples: PositiveInt = 512
    """Validation samples that int8 is scored on; the same that verify takes first."""
    qat_epochs: Count = 0
    """Epochs of quantization-aware training behind those of `[train]`, in the same loop: with int8
    rounding in it, at a tenth of `train.lr`. The best of them is what is exported."""
    workers: Literal["local", "ray"] = "local"
    """auto: who makes the candidates and scores their answers, this process or a Ray cluster that
    runs already. Times are always measured here, one at a time."""
    calibration_samples: PositiveInt = 256
    """Samples that the ranges of activations are taken from, out of the calibration set."""
    batch_size: PositiveInt = 32
    """Samples that run at once during calibration, at most."""
    exclude: tuple[str, ...] = ()
    """Layers that stay float: names of modules or ONNX nodes, globs allowed (`model.head*`)."""
    engine: Literal["auto", "x86", "onednn", "qnnpack"] = "auto"
    """TorchScript's int8 kernels; `auto` takes x86 on x86_64, otherwise qnnpack."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""

    @field_validator("recipes")
    @classmethod
    def _recipes_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for recipe in value:
            if is_entry(recipe):
                continue
            format, _, name = recipe.rpartition(":")
            if format not in ("", "onnx", "torchscript"):
                raise ValueError(f"{recipe!r}: the format is onnx or torchscript")
            known = (*RECIPES, *metadata.entry_points(group=RECIPE_ENTRY_POINTS).names)
            if name not in known:
                raise ValueError(f"{recipe!r} is not a recipe; there are {', '.join(known)}")
        return value


def packages_of_recipes(recipes: Collection[str]) -> set[str]:
    """The installed distributions that bring those of the named recipes that are not built in."""
    names = {recipe.rpartition(":")[2] for recipe in recipes} - set(RECIPES)
    points = metadata.entry_points(group=RECIPE_ENTRY_POINTS)
    return {point.dist.name for point in points if point.name in names and point.dist}


def is_entry(recipe: str) -> bool:
    """Whether it names a recipe of the user's: `file.py:NAME` or `package.module:NAME`."""
    source, _, name = recipe.partition(":")
    return bool(name) and "." in source
