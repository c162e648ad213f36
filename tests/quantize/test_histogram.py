"""Histograms are the same however samples come, and ranges are what they are said to be."""

import numpy as np
import pytest

from pipeline.quantize.histogram import BINS, METHODS, Histogram, value_range


def counted(*batches: np.ndarray) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch.astype(np.float32))
    return histogram


def test_order_and_batches_change_nothing() -> None:
    values = np.random.default_rng(0).standard_cauchy(20_000).astype(np.float32)
    whole = counted(values)
    for parts in (np.array_split(values, 7), np.array_split(values[::-1], 40)):
        other = counted(*parts)
        assert (other.width, other.first) == (whole.width, whole.first)
        assert (other.counts == whole.counts).all()
    assert whole.counts.sum() == values.size
    assert len(whole.counts) <= BINS


def test_ranges_hold_zero_and_lie_within_the_extremes() -> None:
    values = np.concatenate([np.random.default_rng(1).normal(size=50_000), [40.0]])
    histogram = counted(values)
    for method in METHODS:
        low, high = value_range(histogram, method, symmetric=False)
        assert values.min() - 1e-6 <= low <= 0 <= high <= 40, method
        low, high = value_range(histogram, method, symmetric=True)
        assert low == -high, method


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_outlier_does_not_make_the_range(method: str) -> None:
    values = np.concatenate([np.random.default_rng(1).normal(size=50_000), [400.0]])
    _, high = value_range(counted(values), method, symmetric=False)  # type: ignore[arg-type]
    assert high < 100


def test_mse_is_no_worse_than_minmax() -> None:
    values = np.random.default_rng(2).laplace(size=30_000)

    def error(low: float, high: float) -> float:
        scale = (high - low) / 255
        return float(((np.round(np.clip(values, low, high) / scale) * scale - values) ** 2).mean())

    histogram = counted(values)
    found = value_range(histogram, "mse", symmetric=False)
    assert error(*found) < error(*value_range(histogram, "minmax", symmetric=False))


@pytest.mark.parametrize("values", [[0.0], [1e38, -1e38], [1e-30], [7.5, 7.5], [-3.0, -2.0]])
def test_extremes_and_constants(values: list[float]) -> None:
    histogram = counted(np.array(values))
    for method in METHODS:
        low, high = value_range(histogram, method, symmetric=False)
        assert np.isfinite([low, high]).all() and low <= 0 <= high


@pytest.mark.parametrize("rest", [[1.0, 2.0], [-1.0, 3e38], [-(2.0**-90)]])
def test_zeros_come_first(rest: list[float]) -> None:
    first, second = np.zeros(5, np.float32), np.array(rest, np.float32)
    grown, at_once = Histogram(), Histogram()
    grown.add(first)
    grown.add(second)
    at_once.add(np.concatenate([first, second]))
    assert grown.counts.sum() == 5 + len(rest)
    for method in METHODS:
        assert value_range(grown, method, False) == value_range(at_once, method, False)
