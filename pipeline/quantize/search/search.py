"""The search: all candidates a little, the better half more, and the best against fp32 once more.

Successive halving (Jamieson and Talwalkar, *Non-stochastic best arm identification and
hyperparameter optimization*, 2016), within the time that the user gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.quantize.candidates import Candidate
from pipeline.quantize.search.evaluator import Rung
from pipeline.quantize.search.goal import Goal
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.system.progress import Bar
from pipeline.workspace.results.quantize import LayerSensitivity

FIRST = Rung(64, 4, 0.02)
SECOND = Rung(None, 6, 0.03)
LAST = Rung(None, 16, 0.05, 64)
FINALISTS = 3
NEAR = 1.05
TWO_SAMPLES = 2 / 64  # of an accuracy: a first round of 64 samples does not tell less


@dataclass
class Search:
    """One search, as far as it has come. `trials` by candidate, the most thorough of each; `best`
    is what ships, None for float; `timed_out` names what was not tried any more. `ranking` and
    `steps` are there where layers had to go back to float: the sensitivities, and each set that was
    tried."""

    trial_runner: TrialRunner
    goal: Goal
    bar: Bar
    trials: dict[str, Trial] = field(default_factory=dict)
    best: Trial | None = None
    timed_out: str | None = None
    ranking: list[LayerSensitivity] = field(default_factory=list)
    steps: list[Trial] = field(default_factory=list)

    def look(self, candidate: Candidate, rung: Rung) -> Trial | None:
        """Tries a candidate, unless time is up."""
        if self.goal.late:
            self.timed_out = self.timed_out or candidate.name
            return None
        self.bar.advance(0, candidate.name)
        found = self.trial_runner.trial(candidate, rung)
        self.trials[candidate.key] = found
        self.bar.advance(1)
        return found

    def look_at(self, given: Sequence[Candidate], rung: Rung) -> list[Trial]:
        found = (self.look(candidate, rung) for candidate in given)
        return [trial for trial in found if trial is not None]

    def holds(self, trials: Sequence[Trial], surely: bool = False) -> list[Trial]:
        """Those that are good enough and better than float, as far as is known."""
        return [t for t in trials if self.goal.inside(t) and self.goal.gains(t, surely)]


Repair = Callable[[Search, Sequence[Trial]], list[Trial]]


def search(
    run: Search,
    given: Sequence[Candidate],
    repairs: Sequence[Repair],
    variations: Sequence[Repair] = (),
) -> None:
    """Fills `run`. `repairs` are tried one after the other while no static int8 holds: what holds
    beside it, fp16 or weights alone, gains far less. `variations` are of what holds."""
    first = run.look_at(given, FIRST)
    ranked = sorted(
        (trial for trial in first if not trial.failed),
        key=lambda t: (not run.goal.inside(t, TWO_SAMPLES), run.goal.cost(t)),
    )
    half = ranked[: max(FINALISTS, (len(ranked) + 1) // 2)]
    second = run.look_at([trial.candidate for trial in half], SECOND)
    if not run.holds(second, surely=True):
        # What was cut may hold where all of the half do not: slower, but more exact.
        second += run.look_at([t.candidate for t in ranked[len(half) :]], SECOND)
    for repair in repairs:
        if run.goal.late or run.holds([t for t in second if _is_static(t)], surely=True):
            break
        second += repair(run, second)
    for variation in variations:
        second += variation(run, run.holds(second))
    run.best = _final(run, run.holds(second) or run.holds(first))


def _is_static(trial: Trial) -> bool:
    return trial.candidate.recipe == "int8-static"


def _final(run: Search, trials: Sequence[Trial]) -> Trial | None:
    """The best of those that measurably gain, measured once more; ties go to better answers and
    smaller files.

    Two are as fast as one another where the interval of one ratio holds the other's median, or
    where it is no more than 5 % that lies between them: exact answers are worth that.
    """
    measured = []
    for trial in _finalists(run, trials):
        again = _whole(run, trial)
        if run.goal.objective == "latency":
            again = run.trial_runner.measured(again, LAST)
        run.trials[trial.candidate.key] = again
        if run.goal.inside(again) and run.goal.gains(again, surely=True):
            measured.append(again)
    if not measured:
        return None
    fastest = min(measured, key=run.goal.cost)
    return _by_answers(run, [trial for trial in measured if _as_good(run, trial, fastest)])[0]


def _finalists(run: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The fastest, with the best of those as fast; only then what is slower."""
    ranked = sorted(trials, key=run.goal.cost)
    if not ranked:
        return []
    alike = [trial for trial in ranked if _as_good(run, trial, ranked[0])]
    best = _by_answers(run, alike)[: FINALISTS - 1]
    return [*best, *(trial for trial in ranked if trial not in best)][:FINALISTS]


def _whole(run: Search, trial: Trial) -> Trial:
    """Scored on all samples: in a search that ran out of time it may not be yet."""
    assert trial.accuracy is not None
    evaluator = run.trial_runner.evaluator
    if trial.accuracy.samples >= evaluator.fp32.samples:
        return trial
    found = evaluator.accuracy(run.trial_runner.path(trial), trial.made_for)
    return replace(trial, accuracy=found, drop=evaluator.drop(found))


def _as_good(run: Search, trial: Trial, fastest: Trial) -> bool:
    if run.goal.objective == "size" or trial.speed is None or fastest.speed is None:
        return run.goal.cost(trial) <= run.goal.cost(fastest) * 1.01
    ours, best = trial.speed.ratio, fastest.speed.ratio
    return ours.ratio <= max(best.high, NEAR * best.ratio) or ours.low <= best.ratio


def _by_answers(run: Search, alike: Sequence[Trial]) -> list[Trial]:
    """Those as fast as one another: the smallest drop first (to be better than fp32 is chance), of
    these files of no more than 5 % more bytes than the smallest, then the closest answers, then the
    fastest."""
    least = min(_drop(trial) for trial in alike)
    small = NEAR * min(trial.bytes for trial in alike if _drop(trial) == least)
    return sorted(alike, key=lambda t: (_drop(t), t.bytes > small, -_sqnr(t), run.goal.cost(t)))


def _drop(trial: Trial) -> float:
    return max(0.0, trial.drop or 0.0)


def _sqnr(trial: Trial) -> float:
    assert trial.accuracy is not None
    sqnr = trial.accuracy.sqnr_db
    return float("inf") if sqnr is None else sqnr
