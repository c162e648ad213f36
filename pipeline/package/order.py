"""The order of a bundle's artifacts: a program takes the first, if it is not told otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.config.export import Format
from pipeline.errors import UsageError
from pipeline.package.choice import Choice
from pipeline.package.measured import Timing, measurably_slower

# Where no measurement decides: the fastest first, as a rule. Static int8 computes on integers
# throughout; a CPU converts fp16 back and forth; dynamic int8 looks for the range of its inputs at
# every run, which for convolutions costs more than it saves. ONNX Runtime starts faster and holds
# less memory than LibTorch.
ORDER = ("int8-static", "int8-mixed", None, "int8-weights", "int4-weights", "fp16", "int8-dynamic")
FORMATS: tuple[Format, ...] = ("onnx", "torchscript")
VERDICTS = ("pass", "inconclusive", "fail")  # no reader takes by itself what has not passed

Why = Literal["alone", "pinned", "measured", "rule"]


@dataclass(frozen=True)
class Order:
    """All artifacts in their order, and why the first is first."""

    choices: tuple[Choice, ...]
    why: Why

    @property
    def first(self) -> Choice:
        return self.choices[0]


def order(
    choices: Sequence[Choice], timings: Mapping[str, Timing], here: str, pin: str | None = None
) -> Order:
    """What passed first, and among those the fastest first.

    `timings` are by artifact, empty where no measurement is to decide; `here` is the kind of CPU
    that they were taken on. `pin` is the artifact that comes first whatever was measured; the rule
    orders the others then, so that the bundle's bytes do not depend on a measurement. The
    fastest and all not measurably slower make a group, which the rule orders (recipe, format,
    size); then the fastest of the rest and its like, and so on. So artifacts that differ by noise
    alone do not change places from one measurement to the next. What nobody timed follows, by the
    rule. What is made for another kind of CPU has no timing that says anything: it stands behind
    its twin for this CPU, and where it has none before those that the rule prefers it to.

    Raises UsageError for a `pin` that is no artifact, or whose verdict is fail.
    """
    by_rule = sorted(choices, key=_rule)
    ranked: list[Choice] = []
    for verdict in VERDICTS:
        alike = [choice for choice in by_rule if choice.verdict == verdict]
        native = [choice for choice in alike if fits(choice, here)]
        foreign = [choice for choice in alike if choice not in native]
        ranked += _with_foreign(_by_time(native, {} if pin else timings), foreign)
    if pin:
        first = _pinned(by_rule, pin)
        ranked.remove(first)
        ranked.insert(0, first)
    why: Why = "measured" if ranked[0].artifact.id in timings else "rule"
    if len(ranked) == 1:
        why = "alone"
    elif pin:
        why = "pinned"
    return Order(tuple(ranked), why)


def fits(choice: Choice, here: str) -> bool:
    """Whether a timing on the kind of CPU `here` says anything of it."""
    return choice.artifact.made_for in ("any", here)


def _by_time(by_rule: Sequence[Choice], timings: Mapping[str, Timing]) -> list[Choice]:
    """Groups of equals one behind the other, then what was not timed; ties stay `by_rule`."""
    timed = [choice for choice in by_rule if choice.artifact.id in timings]
    grouped: list[Choice] = []
    while timed:
        fastest = min((timings[choice.artifact.id] for choice in timed), key=lambda t: t.p50_ms)
        slower = [c for c in timed if measurably_slower(timings[c.artifact.id], fastest)]
        grouped += [choice for choice in timed if choice not in slower]
        timed = slower
    return grouped + [choice for choice in by_rule if choice not in grouped]


def _with_foreign(native: list[Choice], foreign: Sequence[Choice]) -> list[Choice]:
    placed = list(native)
    for choice in foreign:
        twins = [at for at, other in enumerate(placed) if _kind(other) == _kind(choice)]
        behind = [at for at, other in enumerate(placed) if _rule(other) > _rule(choice)]
        placed.insert(twins[-1] + 1 if twins else min(behind, default=len(placed)), choice)
    return placed


def _pinned(choices: Sequence[Choice], pin: str) -> Choice:
    for choice in choices:
        if choice.artifact.id == pin:
            if choice.verdict == "fail":
                raise UsageError(
                    f"package.first is {pin}, whose verdict is fail: no program would take it.",
                    "Name one that passed, or leave [package] first out.",
                )
            return choice
    known = ", ".join(choice.artifact.id for choice in choices)
    raise UsageError(
        f"package.first is {pin!r}; there is no such artifact. There are: {known}.",
        "What was held back ships with [quantize] gate = false; pipeline quantize says why.",
    )


def _kind(choice: Choice) -> tuple[int, int]:
    recipe, format = choice.artifact.recipe, choice.artifact.format
    return ORDER.index(recipe), FORMATS.index(format)


def _rule(choice: Choice) -> tuple[int, int, int, str]:
    """Recipe, format, size; and the id, so that there is one order."""
    return (*_kind(choice), choice.artifact.bytes, choice.artifact.id)
