"""The loop on callables that are no models, with a clock that can be wound."""

import time

import pytest

from pipeline.measure.timing.loop import measure, warm_up


class Wound:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_nothing_costs_next_to_nothing() -> None:
    latencies = measure(lambda number: None, 1000, 0.0)
    assert len(latencies) == 1000
    assert sorted(latencies)[500] < 20_000  # 20 microseconds, on a busy machine


def test_a_sleep_is_measured() -> None:
    latencies = measure(lambda number: time.sleep(0.002), 5, 0.0)
    assert min(latencies) >= 2_000_000


def test_at_least_so_many_runs_and_seconds() -> None:
    clock = Wound()

    def call(number: int) -> None:
        clock.now += 1_000_000

    assert len(measure(call, 10, 0.0, clock)) == 10
    assert len(measure(call, 10, 0.5, clock)) == 500
    assert warm_up(call, 3, 0.02, clock) == 20


def test_nothing_is_clipped_and_the_order_is_kept() -> None:
    clock = Wound()
    durations = [1, 1, 10**10, 1, 7]

    def call(number: int) -> None:
        clock.now += durations[number]

    assert measure(call, 5, 0.0, clock) == durations


def test_the_number_of_the_run_is_given() -> None:
    seen: list[int] = []
    measure(seen.append, 3, 0.0)
    assert seen == [0, 1, 2]


def test_an_error_goes_through() -> None:
    def call(number: int) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        measure(call, 1, 0.0)
