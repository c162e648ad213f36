"""Contests: who is faster, by how much, and how sure that is.

Contestants take turns, A B C, C B A, A B C ..., so that whatever drifts (clocks, heat, neighbours)
falls on all alike. A turn is one visit to one contestant: many runs. Runs of a turn resemble one
another more than those of different turns, so that what is resampled for an interval is rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

ROUNDS = 10  # at least
RESAMPLES = 5000
CONTROL = (0.98, 1.02)  # of a contestant against itself; a method beyond it cannot tell 2 %

Tells = Literal["faster", "slower", "same", "can't tell"]


@dataclass(frozen=True)
class Ratio:
    """How many times as long as the other: the ratio of medians and its 95 % interval."""

    ratio: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @property
    def tells(self) -> Tells:
        """`faster` or `slower` by more than the control may err, with confidence; `same` if it is
        surely no more than that."""
        if self.low > CONTROL[1]:
            return "slower"
        if self.high < CONTROL[0]:
            return "faster"
        return "same" if self.low >= CONTROL[0] and self.high <= CONTROL[1] else "can't tell"

    def doubted(self, control: "Ratio") -> "Ratio":
        """As sure as `control`, a contestant against itself, lets it be: what moved that one may
        have moved this one as far, either way."""
        off = max(control.high, 1 / control.low)
        return Ratio(self.ratio, self.low / off, self.high * off)

    @property
    def steady(self) -> bool:
        """Whether it can be that of a contestant against itself."""
        return CONTROL[0] <= self.ratio <= CONTROL[1]


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
