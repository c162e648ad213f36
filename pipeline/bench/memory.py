"""The memory of this process, as Linux counts it; elsewhere only its peak is known."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Makes the peak start again at what is held now, where the system can do so.

    Importing libraries takes more for a moment than it keeps.
    """
    try:
        RESET.write_text("5", encoding="ascii")
    except OSError:  # not Linux, or a sandbox: the peak then includes the imports
        return


def peak_bytes() -> int:
    """The most resident memory since the start or the last reset (VmHWM)."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
