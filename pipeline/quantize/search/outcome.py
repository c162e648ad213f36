"""What a search, or the gate of a named recipe, came to: a file, or float and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.goal import Goal
from pipeline.quantize.search.trial import Trial
from pipeline.workspace.artifacts import Artifact


@dataclass(frozen=True)
class Outcome:
    """`file` is None where float ships; `why` says it in a sentence."""

    source: Artifact
    target: str
    why: str
    best: Trial | None
    file: Path | None
    points: list[dict[str, Any]]
    found: dict[str, Any]


def record(
    source: Artifact, target: str, evaluator: Evaluator, goal: Goal, trials: Sequence[Trial]
) -> dict[str, Any]:
    """What quantize.json says of any outcome; `named` is the recipe that the user named."""
    return {
        "format": source.format,
        "target": target,
        "named": None,
        "max_drop": goal.max_drop(),
        "objective": goal.objective,
        "fp32": {"metric": evaluator.fp32.metric, "bytes": source.bytes},
        "samples": len(evaluator.samples),
        "trials": [details_of(trial) for trial in trials],
    }


def details_of(trial: Trial) -> dict[str, Any]:
    """For quantize.json."""
    details_of = trial.to_json()
    del details_of["file"]
    return details_of


def point(trial: Trial, evaluator: Evaluator, goal: Goal, chosen: bool) -> dict[str, Any] | None:
    """For the report, as docs/report.md has it; None for what was not measured."""
    if trial.speed is None or trial.accuracy is None:
        return None
    return {
        "name": f"{trial.candidate.format} {trial.name}",
        "group": "candidate",
        "score": _score(trial, evaluator),
        "latency_ms": trial.speed.ms,
        "bytes": trial.bytes,
        "passed": goal.inside(trial),
        "chosen": chosen,
    }


def _score(trial: Trial, evaluator: Evaluator) -> float | None:
    """fp32's metric on all samples less the drop: few samples may be easier than all."""
    if trial.drop is None or evaluator.fp32.metric is None:
        return None
    return evaluator.fp32.metric - (trial.drop if evaluator.goal_is_max else -trial.drop)
