"""What is asked of an artifact, by precision. `docs/parity.md` gives the same table with reasons.

`[verify.tolerances.PRECISION]` replaces single values, `[verify.outputs.NAME.PRECISION]` those of
one output.
"""

from dataclasses import dataclass

from pipeline.config import Config
from pipeline.measure.accuracy_budget import MIN_SQNR_DB, accuracy_budget
from pipeline.measure.task_metric import Goal
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.verdict import Bounds


@dataclass(frozen=True)
class Defaults:
    """`max_abs` is for outputs of magnitude up to 1 and grows with them. What the metric may lose
    is a matter of `measure/accuracy_budget.py`."""

    max_abs: float | None
    max_rel: float | None
    min_sqnr_db: float
    min_top1: float


DEFAULTS: dict[Precision, Defaults] = {
    # The same arithmetic in another order. One rounding is 6e-8 of a value; sums over thousands of
    # products with cancellation come to about 1e-6 of the scale, measured: 3e-6 with the resize.
    # 1e-4 leaves room for deeper networks and is far below what a wrong constant does. Decisions
    # must be the same, so the metric has nothing to add.
    "fp32": Defaults(1e-4, 1e-3, 60.0, 1.0),
    # A rounding is 5e-4 of a value (11 bits); a few dozen layers add up to some 1e-3.
    "fp16": Defaults(1e-2, 2e-2, 40.0, 0.99),
    # An 8-bit rounding is 1/256 of the range. Single answers may move far, so no largest error;
    # the noise may have a tenth of the signal's energy, and what counts is the task's metric.
    "int8": Defaults(None, None, MIN_SQNR_DB, 0.9),
    # Of weights alone; the task's metric decides as for int8.
    "int4": Defaults(None, None, MIN_SQNR_DB, 0.9),
}


@dataclass(frozen=True)
class Judged:
    """What the bounds of an output depend on, besides the precision.

    `scale` is the largest magnitude of the reference. `discrete`: the output holds integers or
    booleans, whose share of equal elements stands for top-1. `classes`: it is the first output of
    a classifier. `metric`: the goal and the reference's value, for the first output of a task with
    a metric. `synthetic`: the samples are noise, on which the first class means little. `name` is
    the output's.
    """

    scale: float
    discrete: bool = False
    classes: bool = False
    metric: tuple[Goal, float] | None = None
    synthetic: bool = False
    name: str = ""


def bounds(config: Config, precision: Precision, judged: Judged) -> Bounds:
    """The default bounds with the configured ones in their place."""
    values = _values(config, precision, judged)
    if not (judged.classes or judged.discrete):
        values["min_top1"] = None
    if judged.metric is None:
        values["max_drop"] = None
    moved = _values(config, "fp32", judged)["max_abs"]
    return Bounds(**values, tie=2 * (moved or 0.0) if judged.classes else None)


def _values(config: Config, precision: Precision, judged: Judged) -> dict[str, float | None]:
    default = DEFAULTS[precision]
    values: dict[str, float | None] = {
        "max_abs": _max_abs(default, judged),
        "max_rel": None if judged.discrete else default.max_rel,
        "min_sqnr_db": None if judged.discrete else default.min_sqnr_db,
        "min_top1": _min_top1(precision, judged),
        "max_drop": _max_drop(config, precision, judged),
    }
    return values | configured_bounds(config, precision, judged.name)


def configured_bounds(config: Config, precision: Precision, output: str) -> dict[str, float]:
    """What the configuration sets for an output: of the precision, and over that of its own."""
    own = config.verify.outputs.get(output, {})
    values: dict[str, float] = {}
    for section in (config.verify.tolerances.get(precision), own.get(precision)):
        if section is not None:
            values |= {k: v for k, v in section.model_dump().items() if v is not None}
    return values


def _max_abs(default: Defaults, judged: Judged) -> float | None:
    if judged.discrete:
        return None  # one apart is as wrong as a hundred: the share of equal elements counts
    if not judged.scale:
        return DEFAULTS["fp32"].max_abs  # an output that is zero throughout stays so
    return None if default.max_abs is None else default.max_abs * max(1.0, judged.scale)


def _min_top1(precision: Precision, judged: Judged) -> float | None:
    if judged.discrete and precision == "fp32":
        return 0.999  # an index or a rounded value has no margin by which to forgive a tie
    if judged.synthetic and precision != "fp32":
        return None
    return DEFAULTS[precision].min_top1


def _max_drop(config: Config, precision: Precision, judged: Judged) -> float | None:
    if judged.metric is None:
        return None
    return accuracy_budget(config, precision, *judged.metric, judged.name).max_drop


def edge_bound(
    config: Config, precision: Precision, case: Judged, scale: float, largest: float | None
) -> float | None:
    """The largest absolute error of an edge case; None for an output of integers.

    Where the precision has a default bound, that one (or the configured one in its place), at the
    scale of the case. For int8, which has none: a batch of real samples (`largest` is the largest
    error on all of them) may show twice that or a tenth of their `scale`, since a dynamic recipe
    takes its range from the batch; on inputs far from what the recipe was calibrated on, answers
    stay within the magnitudes that are known.
    """
    default = DEFAULTS[precision].max_abs
    if case.discrete:
        return None
    if default is not None:
        configured = configured_bounds(config, precision, case.name).get("max_abs")
        return configured or default * max(1.0, case.scale)
    if largest is not None:
        return max(2 * largest, 0.1 * scale)
    return scale + case.scale
