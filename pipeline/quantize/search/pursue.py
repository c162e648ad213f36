"""One search from its candidates to what ships: make, evaluate, decide."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pipeline.errors import PipelineError
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.make import Maker, OnnxMaker, maker_of, recipe_of
from pipeline.quantize.plan import Plan
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.float_fallback import Rank, best_base, float_fallback
from pipeline.quantize.search.goal import goal_of
from pipeline.quantize.search.outcome import Outcome, point, record, trial_row
from pipeline.quantize.search.ray_workers import spread
from pipeline.quantize.search.reasons import held_back, named_held_back, named_sentence, sentence
from pipeline.quantize.search.search import FIRST, LAST, SECOND, Repair, Search, search
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.system import machine
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.quantize import LayerSensitivity

GATED: tuple[Precision, ...] = ("int8", "int4")  # what fp16 gains, another machine's CPU decides
Check = Callable[[Trial, TrialRunner], None]


def pursue(plan: Plan, task: Task, evaluator: Evaluator, minutes: float, check: Check) -> Outcome:
    """What `auto` finds within the time, or what becomes of the recipe that the user named.

    `task.scratch` keeps what was tried. `check` looks at a named recipe's file before it is
    measured, and raises what is wrong with it; so does making it.
    """
    folder = task.scratch / f"{task.source.format}-{plan.target}"
    measures = plan.target == machine.made_for()
    runner = TrialRunner(maker_of(task), evaluator, folder, measures)
    if plan.named is not None:
        return _named(plan, task, runner, check)
    return _searched(plan, task, runner, minutes)


def _named(plan: Plan, task: Task, runner: TrialRunner, check: Check) -> Outcome:
    """A search of one candidate, which is measured thoroughly at once."""
    (candidate,) = plan.candidates
    trial = runner.made(candidate)
    check(trial, runner)
    if not task.config.quantize.gate or candidate.precision not in GATED:
        return Outcome(plan, trial, runner.path(trial))
    task.bar.advance(0, "against fp32")
    evaluator = runner.evaluator
    goal = goal_of(task.config, evaluator, 0.0, plan.source.bytes, measures=True)
    try:
        trial = runner.evaluated(trial, LAST if goal.objective == "latency" else SECOND)
    except PipelineError as error:
        trial = replace(trial, failed=error.message)
    ships = goal.inside(trial) and goal.gains(trial, surely=True)
    best = trial if ships else None
    why = named_sentence(trial, goal, evaluator, ships)
    held = None if ships else named_held_back(trial, goal, evaluator)
    row = record(plan, evaluator, goal, [trial], best, why=why, held_back=held)
    lost = None if ships else point(trial, evaluator, goal, chosen=False)
    file = runner.path(trial) if ships else None  # a point of the report as an artifact
    return Outcome(plan, best, file, why, (lost,) if lost else (), row)


def _searched(plan: Plan, task: Task, runner: TrialRunner, minutes: float) -> Outcome:
    start = time.monotonic()
    evaluator, maker = runner.evaluator, runner.maker
    goal = goal_of(task.config, evaluator, minutes, plan.source.bytes, runner.measures)
    if any(recipe_of(task, candidate).calibrates for candidate in plan.candidates):
        maker.prepare()
    if task.config.quantize.workers == "ray":
        spread(task, runner.folder, plan.candidates, FIRST, task.bar)
    run = Search(runner, goal, task.bar)
    search(run, plan.candidates, _repairs(run, maker, task), [_not_padded])
    why = sentence(run, evaluator, plan.target)
    points = [point(trial, evaluator, goal, trial is run.best) for trial in run.trials.values()]
    row = record(
        plan,
        evaluator,
        goal,
        list(run.trials.values()),
        run.best,
        why=why,
        held_back=held_back(run, evaluator, plan.target),
        timed_out_at=run.timed_out,
        seconds=round(time.monotonic() - start, 1),
        sensitivity=run.ranking,
        exclusions=[trial_row(trial) for trial in run.steps],
    )
    file = runner.path(run.best) if run.best else None
    whole = tuple(point for point in points if point is not None)
    return Outcome(plan, run.best, file, why, whole, row)


def _repairs(run: Search, maker: Maker, task: Task) -> list[Repair]:
    if isinstance(maker, OnnxMaker):
        return [_rewritten, float_fallback(_onnx_rank(maker, task, run))]
    return [float_fallback(_torch_rank(task, run))]


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
    def rank(candidate: Candidate) -> list[LayerSensitivity]:
        from pipeline.quantize.onnx.sensitivity import sensitivities

        assert candidate.scheme is not None
        return sensitivities(task, maker.calibrate(candidate.transform), candidate.scheme, run.bar)

    return rank


def _torch_rank(task: Task, run: Search) -> Rank:
    def rank(candidate: Candidate) -> list[LayerSensitivity]:
        from pipeline.quantize.torchscript.sensitivity import sensitivities

        return sensitivities(task, run.bar)

    return rank
