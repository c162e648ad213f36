"""How many times as long as another, and how sure that is."""

from dataclasses import dataclass
from typing import Literal

CONTROL = (0.98, 1.02)  # of a contestant against itself; a method beyond it cannot tell 2 %

Tells = Literal["faster", "slower", "same", "can't tell"]


@dataclass(frozen=True)
class Ratio:
    """How many times as long as the other: the ratio of medians and its 95 % interval."""

    ratio: float
    low: float
    high: float

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
