"""Named recipes pass the gate that the search's candidates pass, or do not ship."""

from dataclasses import replace
from pathlib import Path

from pipeline.quantize.candidates import Candidate
from pipeline.quantize.fused import fused
from pipeline.quantize.goal import goal_of
from pipeline.quantize.library import first_line
from pipeline.quantize.outcome import Outcome, point, record
from pipeline.quantize.reasons import named_held_back, named_sentence
from pipeline.quantize.recipes import Quantized, Recipe, Task
from pipeline.quantize.score import Judge, Rung
from pipeline.quantize.search import LAST, SECOND
from pipeline.quantize.trial import Trial

GATED = ("int8", "int4")  # what fp16 gains, another machine's hardware decides


def gate(task: Task, judge: Judge, recipe: Recipe, path: Path, made: Quantized) -> Outcome:
    """Scores the file on validation samples and measures it against fp32 here. `best` of what comes
    back is None where it loses; files stay as they are."""
    goal = goal_of(task.config, judge, 0.0, task.source.bytes, measures=True)
    candidate = Candidate(recipe.format, recipe.name, made.made_for, named=True)
    rung = LAST if goal.objective == "latency" else SECOND
    trial = _tried(Trial(candidate, path.name, path.stat().st_size), judge, rung, path, made)
    if recipe.format == "onnx" and not trial.failed:
        seen = fused(path, task.scratch)
        trial = replace(trial, fused=seen.to_json(), share=seen.share)
    ships = goal.inside(trial) and goal.gains(trial, surely=True)
    why = named_sentence(trial, goal, judge, ships)
    told = {
        **record(task.source, task.target, judge, goal, [trial]),
        "named": recipe.name,
        "shipped": recipe.name if ships else "fp32",
        "why": why,
        "held_back": None if ships else named_held_back(trial, goal, judge),
    }
    if ships:  # a point of the report as an artifact
        return Outcome(task.source, task.target, why, trial, path, [], told)
    lost = point(trial, judge, goal, chosen=False)
    return Outcome(task.source, task.target, why, None, None, [lost] if lost else [], told)


def _tried(trial: Trial, judge: Judge, rung: Rung, path: Path, made: Quantized) -> Trial:
    trial = replace(trial, made_for=made.made_for, details=made.details)
    try:
        accuracy = judge.accuracy(path, made.made_for)
    except (RuntimeError, ValueError) as error:
        return replace(trial, failed=first_line(error))
    speed = judge.speed(path, made.made_for, rung)
    drop = judge.drop(accuracy)
    return replace(trial, accuracy=accuracy, drop=drop, speed=speed, rounds=rung.rounds)
