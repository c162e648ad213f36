"""The state of the machine while something is measured: what makes numbers other than they seem."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.workspace.results.bench import Conditions

STAT = Path("/proc/stat")
STOLEN = 8  # of the first line of /proc/stat: time that the hypervisor gave to others
BUSY = 1.0  # further processes than cores, in the load average, that are told as a busy machine


@dataclass(frozen=True)
class Ticks:
    """CPU time of all cores since the start of the system, in ticks; zeros outside Linux."""

    all: int = 0
    stolen: int = 0

    @classmethod
    def now(cls) -> Self:
        try:
            words = STAT.read_text(encoding="ascii").partition("\n")[0].split()
        except OSError:
            return cls()
        return cls(sum(map(int, words[1:9])), int(words[STOLEN]))

    def stolen_since(self, before: "Ticks") -> float:
        """Percent of the time since `before` in which this machine wanted to run and could not."""
        passed = self.all - before.all
        return 100 * (self.stolen - before.stolen) / passed if passed > 0 else 0.0


def conditions(load: tuple[float, float, float], ticks: Ticks) -> Conditions:
    """From before, as given, to now."""
    return Conditions(
        load_average_before=list(load),
        load_average_after=list(os.getloadavg()),
        steal_percent=Ticks.now().stolen_since(ticks),
    )
