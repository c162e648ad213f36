"""How much of the task's metric an artifact may lose: one answer for quantize's gate and verify.

From the most particular to the default: `[verify.outputs.NAME.PRECISION] max_drop`,
`[verify.tolerances.PRECISION] max_drop`, `[quantize] max_drop`, a point of a score or a twentieth
of an error. What passes the gate is judged by the same number in the verdict.
"""

from dataclasses import dataclass

from pipeline.config import Config
from pipeline.measure.task_metric import Goal
from pipeline.workspace.artifacts import Precision

DROP = 0.01  # of a metric that is to be large, for magnitudes up to 1, and grows with them
DROP_PART = 0.05  # of the reference's own, where the metric is an error
MIN_SQNR_DB = 10.0  # int8 and int4: the noise may have a tenth of the signal's energy
SLACK = 1e-9  # of a metric: 0.98 - 0.97 is a little more than 0.01


@dataclass(frozen=True)
class AccuracyBudget:
    """`max_drop` is in units of the metric; None where nothing is asked of it."""

    max_drop: float | None

    def holds(self, drop: float | None, slack: float = 0.0) -> bool:
        """Whether a drop (positive is worse, None without a metric) is allowed; `slack` widens."""
        return drop is None or self.max_drop is None or drop <= self.max_drop + slack + SLACK


def accuracy_budget(
    config: Config, precision: Precision, goal: Goal, reference: float, output: str = ""
) -> AccuracyBudget:
    """What an artifact of a precision may lose. `reference` is the metric of the eager model, or of
    fp32. fp32 itself has no budget by default: its decisions are compared one by one."""
    own = config.verify.outputs.get(output, {}).get(precision)
    for tolerances in (own, config.verify.tolerances.get(precision)):
        if tolerances is not None and tolerances.max_drop is not None:
            return AccuracyBudget(tolerances.max_drop)
    if precision == "fp32":
        return AccuracyBudget(None)
    if config.quantize.max_drop is not None:
        return AccuracyBudget(config.quantize.max_drop)
    part = DROP_PART * abs(reference) if goal == "min" else DROP * max(1.0, abs(reference))
    return AccuracyBudget(part)
