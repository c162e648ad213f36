"""Is the metric really worse? A test of paired samples: pass, fail, or too few samples to tell.

Reference and artifact answer the same samples, so it is the samples' differences that vary, far
less than either score. An interval of the drop holds with `confidence` at each end:

    pass           the whole interval lies within the allowed drop
    fail           the whole interval lies beyond it
    inconclusive   it holds both

Where every sample is right or wrong, the interval is Tango's score interval for paired proportions
(T. Tango, Statistics in Medicine 17, 1998), which at a margin of zero is McNemar's test. Otherwise
it is a bootstrap over samples: BCa of the mean difference where the metric is a mean over samples
(B. Efron, JASA 82, 1987), else percentiles of the metric computed anew on each resample.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.measure.accuracy_budget import SLACK
from pipeline.workspace.results.verdict import DropTest

Floats = NDArray[np.float64]

POWER = 0.8  # with so many samples more, eight in ten repetitions settle it
RESAMPLES_OF_MEANS = 9999
RESAMPLES_OF_METRICS = 499  # each computes the metric twice
FEWEST = 20  # samples, below which a bootstrap says little about the tails
MOST = 10_000_000  # samples that somebody might gather


def compare_counts(
    worse: int, better: int, samples: int, limit: float, confidence: float
) -> DropTest:
    """Right or wrong answers: `worse` samples were lost, `better` won, of `samples`."""
    from scipy.stats import binomtest, norm

    drop = (worse - better) / samples
    low, high = _tango(worse, better, samples, float(norm.ppf(confidence)))
    turned = worse + better
    p_value = float(binomtest(worse, turned, alternative="greater").pvalue) if turned else 1.0
    spread = math.sqrt(max(0.0, turned / samples - drop**2))
    at_limit = math.sqrt(_variance(worse, better, samples, min(max(limit, -1.0), 1.0)) / samples)
    test = DropTest(
        method="mcnemar",
        drop=drop,
        low=low,
        high=high,
        limit=limit,
        samples=samples,
        p_value=p_value,
        worse=worse,
        better=better,
    )
    return _judged(test, at_limit, spread, confidence)


def compare_means(differences: Floats, limit: float, confidence: float) -> DropTest:
    """A metric that is a mean over samples. `differences` are each sample's loss, float64 [n]."""
    from scipy.stats import bootstrap

    drop = float(differences.mean())
    low = high = drop
    if len(differences) > 1 and np.ptp(differences) > 0:
        for method in ("BCa", "percentile"):  # BCa has no answer where all but one are alike
            with np.errstate(all="ignore"):
                interval = bootstrap(
                    (differences,),
                    np.mean,
                    n_resamples=RESAMPLES_OF_MEANS,
                    batch=1000,
                    confidence_level=2 * confidence - 1,
                    method=method,
                    rng=np.random.default_rng(0),
                ).confidence_interval
            low, high = float(interval.low), float(interval.high)
            if math.isfinite(low) and math.isfinite(high):
                break
    spread = float(differences.std())
    test = _bootstrap(drop, low, high, limit, len(differences))
    return _judged(test, spread, spread, confidence)


def compare_resampled(
    drop_of: Callable[[NDArray[np.int64]], float], samples: int, limit: float, confidence: float
) -> DropTest:
    """Any other metric. `drop_of` gives the drop on the samples of the given indices."""
    rng = np.random.default_rng(0)
    drop = drop_of(np.arange(samples))
    drawn = [drop_of(rng.integers(0, samples, samples)) for _ in range(RESAMPLES_OF_METRICS)]
    known = np.array([value for value in drawn if math.isfinite(value)] or [drop])
    low, high = (float(np.quantile(known, part)) for part in (1 - confidence, confidence))
    spread = float(known.std()) * math.sqrt(samples)
    test = _bootstrap(drop, low, high, limit, samples)
    return _judged(test, spread, spread, confidence)


def _bootstrap(drop: float, low: float, high: float, limit: float, samples: int) -> DropTest:
    return DropTest(method="bootstrap", drop=drop, low=low, high=high, limit=limit, samples=samples)


def _judged(test: DropTest, at_limit: float, spread: float, confidence: float) -> DropTest:
    """`at_limit` and `spread` are one sample's standard deviation, if the drop were the limit and
    as it was seen."""
    few = test.method == "bootstrap" and test.samples < FEWEST
    if test.low > test.limit + SLACK and not few:
        return test.model_copy(update={"verdict": "fail"})
    if test.high <= test.limit + SLACK and not few:
        return test.model_copy(update={"verdict": "pass"})
    needed = _needed(abs(test.limit - test.drop), at_limit, spread, confidence)
    if needed is None or needed > MOST:
        return test
    more = max(needed, FEWEST if few else 0, test.samples + 1) - test.samples
    return test.model_copy(update={"more_samples": more})


def _needed(gap: float, at_limit: float, spread: float, confidence: float) -> int | None:
    """Samples that tell the drop from the limit, if the others are like these: the usual size of
    a one-sided test. None where the drop lies on the limit."""
    from scipy.stats import norm

    if gap <= SLACK:
        return None
    reach = float(norm.ppf(confidence)) * at_limit + float(norm.ppf(POWER)) * spread
    return math.ceil((reach / gap) ** 2)


def _tango(worse: int, better: int, samples: int, z: float) -> tuple[float, float]:
    """Where the score statistic of a margin crosses ±z."""
    from scipy.optimize import brentq

    drop = (worse - better) / samples

    def score(margin: float) -> float:
        variance = _variance(worse, better, samples, margin)
        return (worse - better - samples * margin) / math.sqrt(variance) if variance > 0 else 0.0

    tiny = 1e-9
    low = high = drop
    if drop > -1 + tiny and score(-1 + tiny) > z:
        low = brentq(lambda margin: score(margin) - z, -1 + tiny, drop)
    if drop < 1 - tiny and score(1 - tiny) < -z:
        high = brentq(lambda margin: score(margin) + z, drop, 1 - tiny)
    return float(low), float(high)


def _variance(worse: int, better: int, samples: int, margin: float) -> float:
    """Of worse - better, if the true drop were `margin`: Tango's constrained estimate."""
    a = 2.0 * samples
    b = -worse - better + (2.0 * samples - worse + better) * margin
    c = -better * margin * (1 - margin)
    won = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return max(0.0, samples * (2 * won + margin * (1 - margin)))
