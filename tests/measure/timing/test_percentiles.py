"""Percentiles against the binomial distribution itself, and LoadGen's known floors."""

import math

import numpy as np
import pytest

from pipeline.measure.timing.percentiles import nearest_rank, summary, sure


@pytest.mark.parametrize(
    ("percent", "value"), [(5, 15), (30, 20), (40, 20), (50, 35), (90, 50), (99, 50), (100, 50)]
)
def test_nearest_rank(percent: float, value: float) -> None:
    assert nearest_rank([50, 15, 40, 20, 35], percent) == value


def test_nearest_rank_of_a_hundred() -> None:
    hundred = list(range(1, 101))
    assert [nearest_rank(hundred, p) for p in (50, 90, 99)] == [50, 90, 99]
    assert nearest_rank([3.0], 99) == 3.0


@pytest.mark.parametrize(("percent", "least"), [(90, 64), (99, 662)])
def test_too_few_runs_say_nothing(percent: float, least: int) -> None:
    """The floors that MLPerf Inference's rules give for early stopping."""
    assert sure(range(least - 1), percent) is None
    assert sure(range(least), percent) == least - 1  # the largest of all


@pytest.mark.parametrize("percent", [90, 99])
@pytest.mark.parametrize("count", [700, 1000])
def test_confidence_is_that_of_the_binomial_distribution(percent: int, count: int) -> None:
    found = sure(range(count), percent)
    assert found is not None
    above = count - int(found)  # runs that are at least this long

    def odds(most: int) -> float:
        share = 1 - percent / 100
        return sum(
            math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(most + 1)
        )

    assert odds(above) < 0.01 <= odds(above + 1)


def test_the_true_percentile_is_seldom_missed() -> None:
    rng = np.random.default_rng(0)
    true = math.log(10)  # p90 of the exponential distribution
    found = [sure(rng.exponential(size=300), 90) for _ in range(400)]  # type: ignore[arg-type]
    assert sum(value is not None and value < true for value in found) <= 12  # 1 % are expected


def test_it_comes_down_to_the_percentile() -> None:
    values = np.random.default_rng(1).exponential(size=200_000).tolist()
    told = summary(values)
    assert told["p90_nearest_ms"] <= told["p90_ms"] < 1.01 * told["p90_nearest_ms"]
    assert told["p50_ms"] == nearest_rank(values, 50)
    assert summary(values[:100])["p99_ms"] is None
