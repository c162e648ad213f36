"""Who takes part in the training. One process, until there are more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """This process is number `rank` of `size`; rank 0 is the one that writes files."""

    rank: int = 0
    size: int = 1
