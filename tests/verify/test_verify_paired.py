"""The paired test of the metric: against textbook numbers, and on healthy and bad artifacts."""

import numpy as np
import pytest

from pipeline.verify.paired import compare_counts, compare_means, compare_resampled


def test_at_a_margin_of_zero_it_is_mcnemars() -> None:
    # chi² = (12 - 3)² / 15 = 5.4, so z = 2.32: beyond 95 %, not beyond 99 %.
    assert compare_counts(12, 3, 200, 0.0, 0.95).verdict == "fail"
    assert compare_counts(12, 3, 200, 0.0, 0.99).verdict == "inconclusive"
    assert compare_counts(12, 3, 200, 0.0, 0.95).p_value == pytest.approx(0.017578, abs=1e-5)


@pytest.mark.parametrize(
    ("worse", "better", "samples", "verdict"),
    [
        (0, 0, 268, "pass"),
        (0, 0, 267, "inconclusive"),
        (20, 0, 256, "fail"),
        (5, 0, 256, "inconclusive"),
    ],
)
def test_a_percent_is_shown_or_not(worse: int, better: int, samples: int, verdict: str) -> None:
    found = compare_counts(worse, better, samples, 0.01, 0.95)
    assert found.verdict == verdict
    assert (found.more_samples is not None) == (verdict == "inconclusive")


def test_so_many_more_samples_settle_it() -> None:
    rng = np.random.default_rng(0)
    first = compare_counts(3, 1, 300, 0.02, 0.95)
    assert first.verdict == "inconclusive"
    assert first.more_samples is not None
    total, settled = 300 + first.more_samples, 0
    for _ in range(100):
        worse, better, _ = rng.multinomial(total, [3 / 300, 1 / 300, 296 / 300])
        settled += compare_counts(int(worse), int(better), total, 0.02, 0.95).verdict == "pass"
    assert 65 <= settled <= 97  # planned for 80


def test_means() -> None:
    rng = np.random.default_rng(0)
    assert compare_means(rng.normal(0.0, 0.01, 300), 0.05, 0.95).verdict == "pass"
    assert compare_means(rng.normal(0.2, 0.01, 300), 0.05, 0.95).verdict == "fail"
    assert compare_means(rng.normal(0.05, 1.0, 300), 0.05, 0.95).verdict == "inconclusive"
    assert compare_means(np.zeros(100), 0.05, 0.95).high == 0.0
    few = compare_means(np.zeros(5), 0.05, 0.95)
    assert few.verdict == "inconclusive"


def test_any_other_metric() -> None:
    losses = np.random.default_rng(0).normal(0.3, 0.1, 400)
    found = compare_resampled(lambda indices: float(np.median(losses[indices])), 400, 0.1, 0.95)
    assert found.verdict == "fail"
    assert found.low < found.drop < found.high


@pytest.mark.full
def test_two_hundred_healthy_runs_give_no_false_fail() -> None:
    """As many samples turned to the better as to the worse, at many rates and sizes."""
    rng = np.random.default_rng(1)
    words = []
    for _ in range(200):
        samples, rate = int(rng.integers(100, 2000)), rng.uniform(0.0, 0.02)
        worse, better, _ = rng.multinomial(samples, [rate / 2, rate / 2, 1 - rate])
        words.append(compare_counts(int(worse), int(better), samples, 0.01, 0.95).verdict)
    assert "fail" not in words
    assert words.count("pass") > 60
