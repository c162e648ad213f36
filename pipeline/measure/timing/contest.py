"""Contests: who is faster, by how much, and how sure that is.

Contestants take turns, A B C, C B A, A B C ..., so that whatever drifts (clocks, heat, neighbours)
falls on all alike. A turn is one visit to one contestant: many runs. Runs of a turn resemble one
another more than those of different turns, so that what is resampled for an interval is rounds.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.workspace.results.ratio import Ratio

ROUNDS = 10  # at least
RESAMPLES = 5000


def turns(contestants: int, rounds: int) -> Iterator[tuple[int, int]]:
    """(round, contestant) in the order of the turns: forwards, backwards, forwards ..."""
    for number in range(rounds):
        forwards = range(contestants)
        for contestant in forwards if number % 2 == 0 else reversed(forwards):
            yield number, contestant


def ratio_of_medians(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], seed: int = 0
) -> Ratio:
    """`ours` against `theirs`, each the times of its runs round by round.

    The ratio is of the medians of the rounds' medians; its 95 % interval the percentile bootstrap
    (Efron, 1979) over rounds, drawn jointly for both, since neighbours in time share what disturbs
    them. Raises ValueError for fewer than two rounds or another number of them.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(
            f"rounds: {len(ours)} against {len(theirs)}, at least 2 of each are needed"
        )
    pairs = np.array([[np.median(turn) for turn in side] for side in (ours, theirs)])
    rng = np.random.default_rng(seed)
    drawn = pairs[:, rng.integers(0, len(ours), (RESAMPLES, len(ours)))]
    a, b = np.median(drawn, axis=2)
    low, high = np.percentile(a / b, (2.5, 97.5))
    centre = np.median(pairs[0]) / np.median(pairs[1])
    return Ratio(float(centre), float(low), float(high))
