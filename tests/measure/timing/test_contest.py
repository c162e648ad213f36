"""Turns, ratios and their intervals, on times that are made up: the truth is known."""

import numpy as np
import pytest

from pipeline.measure.timing.contest import ratio_of_medians, turns
from pipeline.measure.timing.draw import draw
from pipeline.workspace.results.ratio import Ratio

Rounds = list[np.ndarray]


def test_turns_go_forwards_and_backwards() -> None:
    assert list(turns(3, 4)) == [
        *((0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)),
        *((2, 0), (2, 1), (2, 2), (3, 2), (3, 1), (3, 0)),
    ]


def made(rng: np.random.Generator, times: float, noise: float = 0.005) -> Rounds:
    """Ten rounds of skewed times, each round off by a little."""
    return [
        times * (1 + noise * rng.normal()) * (1 + 0.05 * rng.exponential(size=80))
        for _ in range(10)
    ]


def test_a_planted_difference_is_told_and_none_is_not() -> None:
    rng = np.random.default_rng(0)
    told = {
        factor: [ratio_of_medians(made(rng, factor), made(rng, 1.0)).tells for _ in range(60)]  # type: ignore[arg-type]
        for factor in (0.9, 1.0, 1.1)
    }
    assert set(told[1.1]) == {"slower"}
    assert set(told[0.9]) == {"faster"}
    assert not {"slower", "faster"} & set(told[1.0])


def test_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    found = [ratio_of_medians(made(rng, 1.3, 0.03), made(rng, 1.0, 0.03)) for _ in range(200)]  # type: ignore[arg-type]
    inside = sum(one.low <= 1.3 <= one.high for one in found)
    assert 0.88 <= inside / 200 <= 1.0  # 95 % is meant; ten rounds are few


def test_a_drift_that_both_share_is_in_neither() -> None:
    rng = np.random.default_rng(2)
    drift = np.linspace(1, 2, 10)
    ours, theirs = (
        [turn * by for turn, by in zip(made(rng, times), drift, strict=True)]
        for times in (1.05, 1.0)
    )
    found = ratio_of_medians(ours, theirs)
    assert found.low < 1.05 < found.high
    assert found.high - found.low < 0.05


def test_noise_is_not_taken_for_a_difference() -> None:
    rng = np.random.default_rng(3)
    found = ratio_of_medians(made(rng, 1.03, 0.1), made(rng, 1.0, 0.1))  # type: ignore[arg-type]
    assert found.tells == "can't tell"


def test_what_a_ratio_tells() -> None:
    assert Ratio(1.1, 1.03, 1.2).tells == "slower"
    assert Ratio(0.9, 0.8, 0.97).tells == "faster"
    assert Ratio(1.0, 0.985, 1.015).tells == "same"
    assert Ratio(1.05, 1.01, 1.1).tells == "can't tell"
    assert Ratio(1.019, 0.9, 1.2).steady
    assert not Ratio(1.021, 0.9, 1.2).steady


def test_a_control_that_is_off_leaves_large_differences() -> None:
    control = Ratio(1.1, 0.8, 1.2)
    assert Ratio(3.0, 2.8, 3.2).doubted(control).tells == "slower"
    assert Ratio(0.3, 0.28, 0.32).doubted(control).tells == "faster"
    assert Ratio(1.2, 1.15, 1.24).doubted(control).tells == "can't tell"
    assert Ratio(1.0, 0.99, 1.01).doubted(control).tells == "can't tell"


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="rounds: 2 against 3"):
        ratio_of_medians([[1.0]] * 2, [[1.0]] * 3)


def test_the_draw_is_splitmix() -> None:
    """Its first values from seed 0 and 1234567, as its authors' own program gives them."""
    assert [draw(0, number, 1 << 64) for number in range(2)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
    ]
    assert draw(1234567, 0, 1 << 64) == 6457827717110365317


def test_the_draw_takes_all_alike() -> None:
    counts = np.bincount([draw(7, number, 64) for number in range(64_000)], minlength=64)
    assert len(counts) == 64
    assert counts.min() > 850 and counts.max() < 1150  # 1000 ± 5 standard deviations
