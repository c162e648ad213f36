"""What the user asked for, and whether a candidate is that."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.config import Config
from pipeline.measure.accuracy_budget import MIN_SQNR_DB, AccuracyBudget, accuracy_budget
from pipeline.quantize.candidates import PRECISIONS
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.trial import Trial
from pipeline.workspace.artifacts import Precision

# Where the task has no metric only the distance from fp32 counts: a hundredth of the energy.
MIN_SQNR_ALONE_DB = 20.0


@dataclass(frozen=True)
class Goal:
    """`budgets` by precision; `ends` is the time (monotonic) at which the search is to stop;
    `fp32_bytes` of the float file; `measures` says whether this machine is of the kind that the
    artifact is for."""

    budgets: Mapping[Precision, AccuracyBudget]
    objective: Literal["latency", "size"]
    ends: float
    fp32_bytes: int
    measures: bool

    def max_drop(self, precision: Precision = "int8") -> float | None:
        return self.budgets[precision].max_drop

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.ends

    def inside(self, trial: Trial, slack: float = 0.0) -> bool:
        """Whether the answers are good enough; `slack` widens the drop."""
        if trial.failed or trial.accuracy is None:
            return False
        sqnr = trial.accuracy.sqnr_db
        least = MIN_SQNR_ALONE_DB if trial.drop is None else MIN_SQNR_DB
        if sqnr is not None and sqnr < least:
            return False
        return self.budgets[trial.candidate.precision].holds(trial.drop, slack)

    def gains(self, trial: Trial, surely: bool) -> bool:
        """Whether it is better than float by the objective: `surely` asks that the whole interval
        of the ratio be below what the method may err by. A file for a CPU that is not here has no
        ratio; there bytes must do."""
        if self.objective == "size" or trial.speed is None:
            return trial.bytes < self.fp32_bytes and (self.objective == "size" or not self.measures)
        ratio = trial.speed.ratio
        return ratio.tells == "faster" if surely else ratio.ratio < 1

    def cost(self, trial: Trial) -> float:
        """What is to be small."""
        if self.objective == "size" or trial.speed is None:
            return trial.bytes / self.fp32_bytes
        return trial.speed.ratio.ratio


def goal_of(
    config: Config, evaluator: Evaluator, minutes: float, fp32_bytes: int, measures: bool
) -> Goal:
    goal: Literal["max", "min"] = "max" if evaluator.goal_is_max else "min"
    output, reference = evaluator.signature.outputs[0].name, evaluator.fp32.metric or 0.0
    budgets = {
        precision: accuracy_budget(config, precision, goal, reference, output)
        for precision in PRECISIONS
    }
    ends = time.monotonic() + 60 * minutes
    return Goal(budgets, config.quantize.objective, ends, fp32_bytes, measures)
