"""Running a program of others and keeping what it says."""

import os
import subprocess
from collections.abc import Mapping, Sequence


def run(
    words: Sequence[object], patience_s: float, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Whatever its exit status is. `more` are variables of its environment alone.

    Raises subprocess.TimeoutExpired, and OSError where it does not start.
    """
    return subprocess.run(  # noqa: S603  a tool of the system's or of ours
        [str(word) for word in words],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=patience_s,
        env={**os.environ, **(more or {})},
    )
