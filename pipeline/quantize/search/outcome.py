"""What a search came to: a file that ships, or float and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.quantize.plan import Plan
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.goal import Goal
from pipeline.quantize.search.trial import Trial
from pipeline.workspace.results.quantize import Baseline, Point, SearchRow, TrialRow


@dataclass(frozen=True)
class Outcome:
    """`best` and its `file` are None where float ships; `why` says it in a sentence, empty where
    nothing was measured. `points` are for the report, `record` for quantize.json."""

    plan: Plan
    best: Trial | None
    file: Path | None
    why: str = ""
    points: tuple[Point, ...] = ()
    record: SearchRow | None = None


def record(
    plan: Plan,
    evaluator: Evaluator,
    goal: Goal,
    trials: Sequence[Trial],
    best: Trial | None,
    **more: Any,
) -> SearchRow:
    """What quantize.json says of any search; `more` are the fields of `SearchRow` that the caller
    knows."""
    return SearchRow(
        format=plan.source.format,
        target=plan.target,
        named=plan.named.name if plan.named else None,
        max_drop=goal.max_drop(),
        objective=goal.objective,
        fp32=Baseline(metric=evaluator.fp32.metric, bytes=plan.source.bytes),
        samples=len(evaluator.samples),
        trials=[trial_row(trial) for trial in trials],
        shipped=best.candidate.recipe if best else "fp32",
        **more,
    )


def trial_row(trial: Trial) -> TrialRow:
    """For quantize.json."""
    fields = trial.to_json()
    del fields["file"]
    return TrialRow.model_validate(fields)


def point(trial: Trial, evaluator: Evaluator, goal: Goal, chosen: bool) -> Point | None:
    """For the report, as docs/report.md has it; None for what was not measured."""
    if trial.speed is None or trial.accuracy is None:
        return None
    return Point(
        name=f"{trial.candidate.format} {trial.name}",
        group="candidate",
        score=_score(trial, evaluator),
        latency_ms=trial.speed.ms,
        bytes=trial.bytes,
        passed=goal.inside(trial),
        chosen=chosen,
    )


def _score(trial: Trial, evaluator: Evaluator) -> float | None:
    """fp32's metric on all samples less the drop: few samples may be easier than all."""
    if trial.drop is None or evaluator.fp32.metric is None:
        return None
    return evaluator.fp32.metric - (trial.drop if evaluator.goal_is_max else -trial.drop)
