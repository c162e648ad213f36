"""What `[quantize] recipes` asks for: a search for each export and kind of CPU.

`auto` searches among many candidates, a named recipe is a search of one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.config import Config
from pipeline.config.export import Format
from pipeline.errors import UsageError
from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.recipes import AUTO, Recipe, formats_of, recipe_named
from pipeline.quantize.scheme import default_scheme
from pipeline.system import machine
from pipeline.workspace.artifacts import Artifact, artifact_id

Kinds = Callable[[Artifact], Sequence[str]]  # of layers that an export has


@dataclass(frozen=True)
class Plan:
    """One search: its candidates, the export that they are made of, the kind of CPU they are for.

    `named` is the recipe that the user named, None for `auto`; `strict`: by its format, so that it
    may not be left out. `suffix` tells the file apart from that of another CPU.
    """

    source: Artifact
    target: str
    candidates: tuple[Candidate, ...]
    named: Recipe | None = None
    strict: bool = False
    suffix: str = ""

    @property
    def subject(self) -> str:
        """What a person calls it: `onnx-int8-static`, `onnx for x86_64`."""
        format = self.source.format
        named = self.named and artifact_id(format, self.named.name)
        return named or f"{format} for {self.target}"


@dataclass(frozen=True)
class Skipped:
    """A recipe that was asked for without a format, and one format where it cannot be."""

    recipe: str
    format: Format
    reason: str


def plan(
    config: Config, sources: Sequence[Artifact], kinds: Kinds
) -> tuple[list[Plan], list[Skipped]]:
    """The searches, `auto` first, each once.

    A recipe without a format is for every format that has it. Raises UsageError for one with a
    format that was not exported, that lacks the recipe, or whose model cannot take it.
    """
    searched: dict[Format, Artifact] = {}
    named: dict[Recipe, Plan] = {}
    skipped: list[Skipped] = []
    for given, name, source in _asked(config, sources, skipped):
        recipe = None if name == AUTO else _recipe(config, given, name, source, sources)
        if recipe is None and name != AUTO:
            continue  # another of the formats has it
        if reason := _why_not(config, source.format):
            if _format_of(given):
                raise UsageError(f"quantize.recipes: {given!r}: {reason}.", _instead(name))
            skipped.append(Skipped(name, source.format, reason))
        elif recipe is None:
            searched[source.format] = source
        else:
            strict = bool(_format_of(given)) or (recipe in named and named[recipe].strict)
            named[recipe] = _named(recipe, source, strict)
    plans = [
        Plan(source, target, _candidates(source, target, kinds), suffix=suffix)
        for source in searched.values()
        for target, suffix in targets(config)
    ]
    return [*plans, *named.values()], list(dict.fromkeys(skipped))


def targets(config: Config) -> list[tuple[str, str]]:
    """(kind of CPU, what its files' names end with): the first has the plain names."""
    kinds = tuple(dict.fromkeys(config.quantize.targets)) or (machine.made_for(),)
    return [(kind, "" if kind == kinds[0] else f"-{kind}") for kind in kinds]


def _candidates(source: Artifact, target: str, kinds: Kinds) -> tuple[Candidate, ...]:
    found = candidates(source.format, target, kinds(source))
    if target == machine.made_for():
        return tuple(found)
    # Times cannot be measured here, and by bytes alone what is slow there could win.
    usual = default_scheme(target).activations
    return tuple(
        one
        for one in found
        if one.recipe == "int8-static" and (one.scheme is None or one.scheme.activations == usual)
    )


def _named(recipe: Recipe, source: Artifact, strict: bool) -> Plan:
    target = machine.made_for()
    scheme = default_scheme(target) if recipe.calibrated else None
    candidate = Candidate(
        recipe.format, recipe.name, target, scheme, precision=recipe.precision, named=True
    )
    return Plan(source, target, (candidate,), recipe, strict)


def _asked(
    config: Config, sources: Sequence[Artifact], skipped: list[Skipped]
) -> Iterator[tuple[str, str, Artifact]]:
    """What `[quantize] recipes` has, as it stands there, its name, and each export it is for.
    What is for an export alone that was left out goes to `skipped`."""
    exported = [source.format for source in sources]
    missing = [format for format in config.formats if format not in exported]
    for given in config.quantize.recipes:
        format = _format_of(given)
        name = given.removeprefix(f"{format}:")
        wanted = [format] if format else list(formats_of(name, config))
        if wanted and not set(wanted) & set(exported) and set(wanted) & set(missing):
            lacks = next(one for one in missing if one in wanted)
            skipped.append(Skipped(name, lacks, "its export was left out"))
            continue
        fitting = [source for source in sources if format in ("", source.format)]
        if format and not fitting:
            there = ", ".join(source.format for source in sources) or "nothing"
            raise UsageError(
                f"quantize.recipes: {given!r} needs the {format} export; there is {there}.",
                f"Add {format} to [export] formats, or leave {given} out.",
            )
        yield from ((given, name, source) for source in fitting)


def _format_of(given: str) -> str:
    start = given.partition(":")[0]
    return start if start in ("onnx", "torchscript") else ""


def _recipe(
    config: Config, given: str, name: str, source: Artifact, sources: Sequence[Artifact]
) -> Recipe | None:
    """None where another of the exported formats has it. Raises UsageError where none has."""
    recipe = recipe_named(name, source.format, config)
    if recipe is not None:
        return recipe
    hint = f"{name} exists for: {', '.join(formats_of(name, config))}."
    if _format_of(given):
        said = f"quantize.recipes: {given!r}: there is no {name} for {source.format}."
        raise UsageError(said, hint)
    if not any(recipe_named(name, other.format, config) for other in sources):
        there = ", ".join(other.format for other in sources)
        said = f"quantize.recipes: {name!r} exists for none of the exported formats ({there})."
        raise UsageError(said, hint)
    return None


def _instead(name: str) -> str:
    return f'Write "onnx:{name}", if ONNX is exported, or leave it out.'


def _why_not(config: Config, format: Format) -> str | None:
    if format == "torchscript" and config.model.torchscript:
        return (
            f"{config.model.torchscript} is a finished TorchScript file, "
            "and only a model in Python can be quantized to TorchScript"
        )
    return None
