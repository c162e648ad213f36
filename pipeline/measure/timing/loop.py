"""The measuring loop. It takes a callable and a clock; it knows nothing of models."""

import time
from collections.abc import Callable

Call = Callable[[int], object]  # gets the number of the run, so that inputs can be drawn for it
Clock = Callable[[], int]  # nanoseconds


def warm_up(call: Call, runs: int, seconds: float, clock: Clock = time.perf_counter_ns) -> int:
    """Calls at least `runs` times and `seconds` long; gives the number of calls."""
    return len(measure(call, runs, seconds, clock))


def measure(
    call: Call, runs: int, seconds: float, clock: Clock = time.perf_counter_ns
) -> list[int]:
    """The nanoseconds of every call, in order: at least `runs` of them and `seconds` of their sum.

    Nothing is dropped or smoothed: what a caller would have waited for is in the list.
    """
    latencies: list[int] = []
    total, wanted = 0, int(seconds * 1e9)
    while len(latencies) < runs or total < wanted:
        start = clock()
        call(len(latencies))
        latencies.append(clock() - start)
        total += latencies[-1]
    return latencies
