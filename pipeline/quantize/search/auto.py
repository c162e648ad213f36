"""`auto`: a search for each format and kind of CPU; what comes of it: a file, or float and why."""

import time
from collections.abc import Sequence
from dataclasses import replace

from pipeline.config import Config
from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.make import Maker, OnnxMaker, maker_of
from pipeline.quantize.recipes import RECIPES, Task
from pipeline.quantize.scheme import default_scheme
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.float_fallback import Rank, best_base, exclusion
from pipeline.quantize.search.goal import goal_of
from pipeline.quantize.search.outcome import Outcome, details_of, point, record
from pipeline.quantize.search.ray_workers import spread
from pipeline.quantize.search.reasons import held_back, sentence
from pipeline.quantize.search.search import FIRST, SECOND, Repair, Search, search
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.quantize.sensitivity import Sensitivity
from pipeline.system import machine
from pipeline.system.progress import Reporter

CALIBRATED = {recipe.name for recipe in RECIPES if recipe.calibrates}


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
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, folder)
    measures = target == machine.made_for()
    goal = goal_of(task.config, evaluator, minutes, task.source.bytes, measures)
    given = candidates(task.source.format, target, kinds)
    if not measures:  # by bytes alone what is slow there could win
        usual_there = default_scheme(target).activations
        given = [one for one in given if one.recipe == "int8-static"]
        given = [
            one for one in given if one.scheme is None or one.scheme.activations == usual_there
        ]
    with report.bar(f"search {task.source.format} for {target}", None) as bar:
        task = replace(task, bar=bar, target=target)
        maker = maker_of(task)
        if any(candidate.recipe in CALIBRATED for candidate in given):
            maker.prepare()
        if task.config.quantize.workers == "ray":
            spread(task, folder, given, FIRST, bar)
        run = Search(TrialRunner(maker, evaluator, folder, measures), goal, bar)
        search(run, given, _repairs(run, maker, task), [_not_padded])
    why, held = sentence(run, evaluator, target), held_back(run, evaluator, target)
    points = [point(trial, evaluator, goal, trial is run.best) for trial in run.trials.values()]
    found = {
        **record(task.source, target, evaluator, goal, list(run.trials.values())),
        "shipped": run.best.candidate.recipe if run.best else "fp32",
        "why": why,
        "held_back": held,
        "timed_out_at": run.timed_out,
        "seconds": round(time.monotonic() - start, 1),
        "sensitivity": [one.to_json() for one in run.ranking],
        "exclusions": [details_of(trial) for trial in run.steps],
    }
    file = run.trial_runner.path(run.best) if run.best else None
    whole = [point for point in points if point is not None]
    return Outcome(task.source, target, why, run.best, file, whole, found)


def _repairs(run: Search, maker: Maker, task: Task) -> list[Repair]:
    if isinstance(maker, OnnxMaker):
        return [_rewritten, exclusion(_onnx_rank(maker, task, run))]
    return [exclusion(_torch_rank(task, run))]


def _rewritten(run: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The best static candidate on float models that are easier to quantize."""
    base = best_base(run, trials)
    if base is None or base.candidate.scheme is None:
        return []
    scheme = base.candidate.scheme
    given: list[Candidate] = [
        replace(base.candidate, transform="smoothed"),
        replace(
            base.candidate, transform="smoothed", scheme=replace(scheme, ranges="mse", bias=True)
        ),
        replace(
            base.candidate, transform="equalized", scheme=replace(scheme, ranges="mse", bias=True)
        ),
    ]
    return run.look_at(given, SECOND)


def _not_padded(run: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The fastest as it is without the channels that were to save time: another CPU may differ."""
    padded = [trial for trial in trials if trial.details.get("padded")]
    fastest = min(padded, key=run.goal.cost, default=None)
    if fastest is None or fastest.candidate.scheme is None or fastest.speed is None:
        return []
    plain = replace(fastest.candidate.scheme, padded=False)
    return run.look_at([replace(fastest.candidate, scheme=plain)], SECOND)


def _onnx_rank(maker: OnnxMaker, task: Task, run: Search) -> Rank:
    def rank(candidate: Candidate) -> list[Sensitivity]:
        from pipeline.quantize.onnx.sensitivity import sensitivities

        assert candidate.scheme is not None
        return sensitivities(task, maker.calibrate(candidate.transform), candidate.scheme, run.bar)

    return rank


def _torch_rank(task: Task, run: Search) -> Rank:
    def rank(candidate: Candidate) -> list[Sensitivity]:
        from pipeline.quantize.torchscript.sensitivity import sensitivities

        return sensitivities(task, run.bar)

    return rank
