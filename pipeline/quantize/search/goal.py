"""What the user asked for, and whether a candidate is that."""

import time
from dataclasses import dataclass
from typing import Literal

from pipeline.config import Config
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.trial import Trial

SLACK = 1e-9  # of a metric: 0.98 - 0.97 is a little more than 0.01
MIN_SQNR_DB = 10.0  # noise of a tenth of the signal's energy; verify refuses int8 below it
# Where the task has no metric only the distance from fp32 counts: a hundredth of the energy.
MIN_SQNR_ALONE_DB = 20.0
DROP, DROP_PART = 0.01, 0.05  # by default: absolute, and in parts of an error that is to be small


@dataclass(frozen=True)
class Goal:
    """`ends` is the time (monotonic) at which the search is to stop; `fp32_bytes` of the float
    file; `measures` says whether this machine is of the kind that the artifact is for."""

    max_drop: float
    objective: Literal["latency", "size"]
    ends: float
    fp32_bytes: int
    measures: bool

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
        return trial.drop is None or trial.drop <= self.max_drop + slack + SLACK

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
    settings = config.quantize
    if settings.max_drop is not None:
        allowed = settings.max_drop
    elif evaluator.goal_is_max or evaluator.fp32.metric is None:
        allowed = DROP
    else:
        allowed = DROP_PART * abs(evaluator.fp32.metric)
    ends = time.monotonic() + 60 * minutes
    return Goal(allowed, settings.objective, ends, fp32_bytes, measures)
