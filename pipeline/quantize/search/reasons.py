"""Why an artifact ships, or float does, in a sentence."""

from pipeline.quantize.search.evaluator import Evaluator
from pipeline.quantize.search.goal import Goal
from pipeline.quantize.search.search import Search
from pipeline.quantize.search.trial import Trial

TOO_SHORT = "the time was too short to try any candidate"
NOTHING = "the model has no layer that int8 or fp16 changes"


def sentence(run: Search, evaluator: Evaluator, target: str) -> str:
    """Why this ships, or why float does."""
    goal, name = run.goal, evaluator.metric.name if evaluator.metric else "SQNR"
    late = (
        f" Time was up before {run.timed_out} had been tried ([quantize] budget_minutes)."
        if run.timed_out
        else ""
    )
    late += _left_out(run)
    if run.best is not None:
        return f"{_best(run.best, evaluator, target)}{late}"
    tried = [trial for trial in run.trials.values() if not trial.failed]
    if not tried:
        return f"fp32 ships: {_untried(run)}.{late}"
    held = [trial for trial in tried if goal.inside(trial)]
    if not held:
        best = max(tried, key=lambda trial: (-(trial.drop or 0.0), trial.share or 0.0))
        return f"fp32 ships: {_worst(best, goal, name)} with the best of {len(tried)}.{late}"
    best = min(held, key=goal.cost)
    if goal.objective == "size" or best.speed is None:
        return (
            "fp32 ships: no candidate within the accuracy budget is smaller; the smallest is "
            f"{best.name}.{late}"
        )
    ratio = best.speed.ratio
    return (
        "fp32 ships: no candidate within the accuracy budget is measurably faster; the fastest, "
        f"{best.name}, takes {ratio.ratio:.2f} "
        f"({ratio.low:.2f} to {ratio.high:.2f}) of fp32's time.{late}"
    )


def named_sentence(trial: Trial, goal: Goal, evaluator: Evaluator, ships: bool) -> str:
    """Why a named recipe's file ships, or does not."""
    if ships:
        return _best(trial, evaluator, trial.made_for)
    name = evaluator.metric.name if evaluator.metric else "SQNR"
    if trial.failed:
        reason = trial.failed
    elif not goal.inside(trial):
        reason = _worst(trial, goal, name).removesuffix(",")
    elif goal.objective == "size" or trial.speed is None:
        reason = f"it has {trial.bytes} bytes, fp32 {goal.fp32_bytes}"
    else:
        ratio = trial.speed.ratio
        took = f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) of fp32's time"
        reason = f"it takes {took}, which is not measurably less"
    return f"{trial.name} does not ship: {reason}."


def named_held_back(trial: Trial, goal: Goal, evaluator: Evaluator) -> str:
    """The same for the manifest, which holds no timing."""
    what = evaluator.metric.name if evaluator.metric else "the answers"
    if trial.failed:
        reason = "it does not run on every sample"
    elif not goal.inside(trial):
        reason = f"it does not keep {what} within {_allowed(goal, trial)}"
    else:
        reason = (
            f"it is not {'smaller' if goal.objective == 'size' else 'measurably faster'} than fp32"
        )
    return f"{evaluator.runtime.format} has no {trial.candidate.recipe}: {reason}."


def _best(best: Trial, evaluator: Evaluator, target: str) -> str:
    assert best.accuracy is not None
    if evaluator.metric is not None and best.accuracy.metric is not None:
        kept = (
            f"{evaluator.metric.name} {best.accuracy.metric:.4f}, fp32 {evaluator.fp32.metric:.4f}"
        )
    else:
        sqnr = best.accuracy.sqnr_db
        kept = "the same answers" if sqnr is None else f"SQNR {sqnr:.0f} dB"
    if best.speed is None:
        speed = f"its speed is not measured: this machine is not {target}"
    else:
        ratio = best.speed.ratio
        speed = f"{1 / ratio.ratio:.2f}× as fast ({1 / ratio.high:.2f} to {1 / ratio.low:.2f})"
    return f"{best.name} ships: {speed}, {kept}."


def _worst(best: Trial, goal: Goal, name: str) -> str:
    if best.drop is not None and not goal.budgets[best.candidate.precision].holds(best.drop):
        return f"{name} drops by {best.drop:.4f}, {_allowed(goal, best)} allowed,"
    assert best.accuracy is not None
    sqnr = best.accuracy.sqnr_db
    return f"the answers have an SQNR of {sqnr if sqnr is not None else 0:.0f} dB"


def _allowed(goal: Goal, trial: Trial) -> str:
    return f"{goal.max_drop(trial.candidate.precision) or 0.0:g}"


def _left_out(run: Search) -> str:
    """The candidates that failed where others did not, and each reason once."""
    failed: dict[str, str] = {}
    for trial in run.trials.values():
        if trial.failed:
            failed.setdefault(_one_line(trial.failed), trial.name)
    if not failed or all(trial.failed for trial in run.trials.values()):
        return ""
    return "".join(f" Left out: {name} ({reason})." for reason, name in failed.items())


def _one_line(reason: str) -> str:
    """The first line, and the one below it: where it happened, or what was tried first."""
    return " ".join(line.strip() for line in reason.splitlines()[:2]).removesuffix(".")


def _untried(run: Search) -> str:
    failed = next(iter(run.trials.values()), None)
    if failed is not None and failed.failed:
        return f"no candidate could be made ({_one_line(failed.failed)})"
    return TOO_SHORT if run.timed_out else NOTHING


def held_back(run: Search, evaluator: Evaluator, target: str) -> str | None:
    """For the manifest, which holds no timing: why float ships; None where it does not."""
    if run.best is not None:
        return None
    goal = run.goal
    tried = [trial for trial in run.trials.values() if not trial.failed]
    if not tried:
        reason = "no candidate could be made" if run.trials else _untried(run)
    elif not any(goal.inside(trial) for trial in tried):
        what = evaluator.metric.name if evaluator.metric else "the answers"
        reason = f"none of {len(tried)} candidates kept {what} within {_allowed(goal, tried[0])}"
    elif goal.objective == "size":
        reason = "no candidate that keeps the accuracy is smaller"
    else:
        reason = "no candidate that keeps the accuracy is measurably faster"
    return f"{evaluator.runtime.format} for {target} is float: {reason}."
