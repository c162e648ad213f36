"""Named recipes pass the gate that the search's candidates pass, or do not ship."""

from dataclasses import replace
from pathlib import Path

from pipeline.quantize.candidates import Candidate
from pipeline.quantize.library import first_line
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.recipes import Quantized, Recipe, Task
from pipeline.quantize.search.evaluator import Evaluator, Rung
from pipeline.quantize.search.goal import goal_of
from pipeline.quantize.search.outcome import Outcome, point, record
from pipeline.quantize.search.reasons import named_held_back, named_sentence
from pipeline.quantize.search.search import LAST, SECOND
from pipeline.quantize.search.trial import Trial

GATED = ("int8", "int4")  # what fp16 gains, another machine's hardware decides


def gate(task: Task, evaluator: Evaluator, recipe: Recipe, path: Path, made: Quantized) -> Outcome:
    """Scores the file on validation samples and measures it against fp32 here. `best` of what comes
    back is None where it loses; files stay as they are."""
    goal = goal_of(task.config, evaluator, 0.0, task.source.bytes, measures=True)
    candidate = Candidate(recipe.format, recipe.name, made.made_for, named=True)
    rung = LAST if goal.objective == "latency" else SECOND
    trial = _tried(Trial(candidate, path.name, path.stat().st_size), evaluator, rung, path, made)
    if recipe.format == "onnx" and not trial.failed:
        seen = fused(path, task.scratch)
        trial = replace(trial, fused=seen.to_json(), share=seen.share)
    ships = goal.inside(trial) and goal.gains(trial, surely=True)
    why = named_sentence(trial, goal, evaluator, ships)
    details_of = {
        **record(task.source, task.target, evaluator, goal, [trial]),
        "named": recipe.name,
        "shipped": recipe.name if ships else "fp32",
        "why": why,
        "held_back": None if ships else named_held_back(trial, goal, evaluator),
    }
    if ships:  # a point of the report as an artifact
        return Outcome(task.source, task.target, why, trial, path, [], details_of)
    lost = point(trial, evaluator, goal, chosen=False)
    return Outcome(task.source, task.target, why, None, None, [lost] if lost else [], details_of)


def _tried(trial: Trial, evaluator: Evaluator, rung: Rung, path: Path, made: Quantized) -> Trial:
    trial = replace(trial, made_for=made.made_for, details=made.details)
    try:
        accuracy = evaluator.accuracy(path, made.made_for)
    except (RuntimeError, ValueError) as error:
        return replace(trial, failed=first_line(error))
    speed = evaluator.speed(path, made.made_for, rung)
    drop = evaluator.drop(accuracy)
    return replace(trial, accuracy=accuracy, drop=drop, speed=speed, rounds=rung.rounds)
