"""`auto`: a search for each format and kind of CPU; what comes of it: a file, or float and why."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import machine
from pipeline.artifacts import Artifact
from pipeline.config import Config
from pipeline.progress import Reporter
from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.exclusion import Rank, best_base, exclusion
from pipeline.quantize.goal import Goal, goal_of
from pipeline.quantize.how import usual
from pipeline.quantize.make import Maker, OnnxMaker, maker_of
from pipeline.quantize.reasons import held_back, sentence
from pipeline.quantize.recipes import Task
from pipeline.quantize.score import Judge
from pipeline.quantize.search import FIRST, SECOND, Repair, Search, search
from pipeline.quantize.sensitivity import Sensitivity
from pipeline.quantize.spread import spread
from pipeline.quantize.trial import Bench, Trial


@dataclass(frozen=True)
class Outcome:
    """What a search came to. `file` is None where float ships; `why` says it in a sentence."""

    source: Artifact
    target: str
    why: str
    best: Trial | None
    file: Path | None
    points: list[dict[str, Any]]
    found: dict[str, Any]


def targets(config: Config) -> tuple[str, ...]:
    """The kinds of CPU that artifacts are made for: the first has the plain names."""
    return tuple(dict.fromkeys(config.quantize.targets)) or (machine.made_for(),)


def auto(
    task: Task, target: str, kinds: Sequence[str], minutes: float, report: Reporter
) -> Outcome:
    """Searches one format for one kind of CPU. `kinds` of layers that the model has; `task.scratch`
    keeps what was tried. Raises UsageError where fp32 itself cannot be scored."""
    start = time.monotonic()
    folder = task.scratch / f"{task.source.format}-{target}"
    judge = Judge(task.config, task.signature, task.source, task.path, folder)
    measures = target == machine.made_for()
    goal = goal_of(task.config, judge, minutes, task.source.bytes, measures)
    given = candidates(task.source.format, target, kinds)
    if not measures:  # by bytes alone what is slow there could win
        usual_there = usual(target).activations
        given = [one for one in given if one.recipe == "int8-static"]
        given = [one for one in given if one.how is None or one.how.activations == usual_there]
    with report.bar(f"search {task.source.format} for {target}", None) as bar:
        task = replace(task, bar=bar, target=target)
        maker = maker_of(task)
        if any(candidate.recipe == "int8-static" for candidate in given):
            maker.prepare()
        if task.config.quantize.workers == "ray":
            spread(task, folder, given, FIRST, bar)
        run = Search(Bench(maker, judge, folder, measures), goal, bar)
        search(run, given, _repairs(run, maker, task))
    why, held = sentence(run, judge, target), held_back(run, judge, target)
    points = [_point(trial, judge, goal, trial is run.best) for trial in run.trials.values()]
    found = {
        "format": task.source.format,
        "target": target,
        "shipped": run.best.candidate.recipe if run.best else "fp32",
        "why": why,
        "held_back": held,
        "max_drop": goal.max_drop,
        "objective": goal.objective,
        "fp32": {"metric": judge.fp32.metric, "bytes": task.source.bytes},
        "samples": len(judge.samples),
        "timed_out_at": run.timed_out,
        "seconds": round(time.monotonic() - start, 1),
        "sensitivity": [one.to_json() for one in run.ranking],
        "exclusions": [_told(trial) for trial in run.steps],
        "trials": [_told(trial) for trial in run.trials.values()],
    }
    file = run.bench.path(run.best) if run.best else None
    whole = [point for point in points if point is not None]
    return Outcome(task.source, target, why, run.best, file, whole, found)


def _repairs(run: Search, maker: Maker, task: Task) -> list[Repair]:
    if isinstance(maker, OnnxMaker):
        return [_rewritten, exclusion(_onnx_rank(maker, task, run))]
    return [exclusion(_torch_rank(task, run))]


def _rewritten(run: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The best static candidate on float models that are easier to quantize."""
    base = best_base(run, trials)
    if base is None or base.candidate.how is None:
        return []
    how = base.candidate.how
    given: list[Candidate] = [
        replace(base.candidate, transform="smoothed"),
        replace(base.candidate, transform="smoothed", how=replace(how, ranges="mse", bias=True)),
        replace(base.candidate, transform="equalized", how=replace(how, ranges="mse", bias=True)),
    ]
    return run.look_at(given, SECOND)


def _onnx_rank(maker: OnnxMaker, task: Task, run: Search) -> Rank:
    def rank(candidate: Candidate) -> list[Sensitivity]:
        from pipeline.quantize.onnx_sensitivity import sensitivities

        assert candidate.how is not None
        return sensitivities(task, maker.ground(candidate.transform), candidate.how, run.bar)

    return rank


def _torch_rank(task: Task, run: Search) -> Rank:
    def rank(candidate: Candidate) -> list[Sensitivity]:
        from pipeline.quantize.torchscript_sensitivity import sensitivities

        return sensitivities(task, run.bar)

    return rank


def _told(trial: Trial) -> dict[str, Any]:
    told = trial.to_json()
    del told["file"]
    return told


def _point(trial: Trial, judge: Judge, goal: Goal, chosen: bool) -> dict[str, Any] | None:
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
