"""What a search, or the gate of a named recipe, came to: a file, or float and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact
from pipeline.quantize.goal import Goal
from pipeline.quantize.score import Judge
from pipeline.quantize.trial import Trial


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
    source: Artifact, target: str, judge: Judge, goal: Goal, trials: Sequence[Trial]
) -> dict[str, Any]:
    """What quantize.json says of any outcome; `named` is the recipe that the user named."""
    return {
        "format": source.format,
        "target": target,
        "named": None,
        "max_drop": goal.max_drop,
        "objective": goal.objective,
        "fp32": {"metric": judge.fp32.metric, "bytes": source.bytes},
        "samples": len(judge.samples),
        "trials": [told(trial) for trial in trials],
    }


def told(trial: Trial) -> dict[str, Any]:
    """For quantize.json."""
    told = trial.to_json()
    del told["file"]
    return told


def point(trial: Trial, judge: Judge, goal: Goal, chosen: bool) -> dict[str, Any] | None:
    """For the report, as docs/report.md has it; None for what was not measured."""
    if trial.speed is None or trial.accuracy is None:
        return None
    return {
        "name": f"{trial.candidate.format} {trial.name}",
        "group": "candidate",
        "score": _score(trial, judge),
        "latency_ms": trial.speed.ms,
        "bytes": trial.bytes,
        "passed": goal.inside(trial),
        "chosen": chosen,
    }


def _score(trial: Trial, judge: Judge) -> float | None:
    """fp32's metric on all samples less the drop: few samples may be easier than all."""
    if trial.drop is None or judge.fp32.metric is None:
        return None
    return judge.fp32.metric - (trial.drop if judge.goal_is_max else -trial.drop)
