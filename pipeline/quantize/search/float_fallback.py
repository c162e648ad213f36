"""Layers go back to float until the answers are good enough; then as many as can come back."""

from collections.abc import Callable, Sequence

from pipeline.project.library import RefusedError
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.search.search import SECOND, Repair, Search
from pipeline.quantize.search.trial import Trial
from pipeline.workspace.results.quantize import LayerSensitivity

RETURNS = 12  # layers that are tried in int8 again

Rank = Callable[[Candidate], list[LayerSensitivity]]


def float_fallback(rank: Rank) -> Repair:
    """A repair of the static candidate with the best answers. `rank` gives its layers, the most
    sensitive first."""

    def repair(run: Search, trials: Sequence[Trial]) -> list[Trial]:
        base = best_base(run, trials)
        if base is None:
            return []
        try:
            run.ranking = rank(base.candidate)
        except RefusedError:  # as a whole it can be quantized, layer by layer it cannot
            return []
        layers = [one.layer for one in run.ranking if one.sqnr_db is not None]
        found, kept = _until_it_holds(run, base.candidate, layers)
        if kept:
            found += _returning(run, base.candidate, kept)
        return found

    return repair


def best_base(run: Search, trials: Sequence[Trial]) -> Trial | None:
    """Of the static ones that are faster than float, or of all static ones."""
    static = [t for t in trials if not t.failed and t.candidate.recipe == "int8-static"]
    faster = [trial for trial in static if run.goal.gains(trial, surely=False)]

    def answers(trial: Trial) -> tuple[float, float]:
        assert trial.accuracy is not None
        return -(trial.drop or 0.0), trial.accuracy.sqnr_db or 0.0

    return max(faster or static, key=answers, default=None)


def _until_it_holds(
    run: Search, base: Candidate, layers: Sequence[str]
) -> tuple[list[Trial], list[str]]:
    """Twice as many layers at each step, then the smallest number between the last two that holds:
    (trials, the layers that stay float), none where float throughout is no better."""
    found: list[Trial] = []
    fails, count = 0, 1
    while True:
        count = min(count, len(layers) - 1)
        trial = _with(run, base, layers[:count], found)
        if trial is None or count <= fails:
            return found, []
        if run.goal.inside(trial):
            break
        if count == len(layers) - 1:
            return found, []
        fails, count = count, 2 * count
    holds = count
    while holds - fails > 1:
        middle = (fails + holds) // 2
        trial = _with(run, base, layers[:middle], found)
        if trial is None:
            break
        fails, holds = (fails, middle) if run.goal.inside(trial) else (middle, holds)
    return found, list(layers[:holds])


def _returning(run: Search, base: Candidate, kept: list[str]) -> list[Trial]:
    """Layers back in int8 one by one, the least sensitive first, as long as it holds."""
    found: list[Trial] = []
    for layer in list(reversed(kept[:-1]))[
        :RETURNS
    ]:  # the last one was needed: without it it fails
        fewer = [name for name in kept if name != layer]
        trial = _with(run, base, fewer, found) if fewer else None
        if trial is None:
            break
        if run.goal.inside(trial):
            kept = fewer
    return found


def _with(run: Search, base: Candidate, layers: Sequence[str], found: list[Trial]) -> Trial | None:
    trial = run.look(base.without(layers), SECOND) if layers else None
    if trial is not None:
        found.append(trial)
        run.steps.append(trial)
    return trial
