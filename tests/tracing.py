"""What a program asks of the system, seen by strace: network, other programs, files it writes."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_CALLS = "trace=%network,execve,execveat,open,openat,creat,mkdir,mkdirat"
_STRACE = ("strace", "--seccomp-bpf", "-f", "-ff", "-qq", "-y", "-s", "400", "-e", _CALLS)
_OUTSIDE = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*\bAF_(?:INET6?|PACKET)\b")
_EXECUTED = re.compile(r'execve(?:at)?\([^"]*"([^"]*)".* = 0$')
_OPENED = re.compile(r'(open|creat|openat|mkdir|mkdirat)\((?:[^"<]*(?:<([^>]*)>)?, )?"([^"]*)"(.*)')


@dataclass(frozen=True)
class Traced:
    """`network` are calls that could leave this machine; `programs` what was executed, the program
    itself first; `written` the files and folders that were made, or opened for writing."""

    code: int
    out: str
    err: str
    network: list[str]
    programs: list[str]
    written: list[str]
    home: Path
    temporary: Path

    def left(self) -> list[Path]:
        """What lies in the home and the temporary folder, which were empty."""
        return [path for folder in (self.home, self.temporary) for path in folder.rglob("*")]


@cache
def _why_not() -> str | None:
    try:
        done = subprocess.run([*_STRACE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no strace (Debian: strace)"
    return None if done.returncode == 0 else f"strace may not trace: {done.stderr.strip()}"


def traced(
    words: Sequence[str | Path],
    folder: Path,
    *,
    cwd: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> Traced:
    """Runs a program and what it starts, with an empty home and temporary folder of its own.

    Its environment is that, PATH and `more`: nothing says that telemetry is not wanted, nor that
    this is a machine of builds and tests, where ONNX Runtime by itself collects none. Skips the
    test where nothing can be traced.
    """
    lack = _why_not()
    if lack:
        pytest.skip(lack)
    home, temporary, traces = (folder / name for name in ("home", "temporary", "traces"))
    for made in (home, temporary, traces):
        made.mkdir(parents=True)
    done = subprocess.run(
        [*_STRACE, "-o", traces / "trace", *words],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LC_ALL": "C.UTF-8",
            **(more or {}),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=600,
    )
    paths = sorted(traces.iterdir(), key=lambda path: int(path.suffix[1:]))
    calls = [
        call
        for path in paths
        for call in path.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    return Traced(
        done.returncode,
        done.stdout,
        done.stderr,
        [call for call in calls if _OUTSIDE.search(call)],
        [found.group(1) for call in calls if (found := _EXECUTED.match(call))],
        [path for call in calls if (path := _written(call))],
        home,
        temporary,
    )


def _written(call: str) -> str | None:
    found = _OPENED.match(call)
    if found is None or " = -1 " in call:
        return None
    kind, folder, path, rest = found.groups()
    makes = kind in ("creat", "mkdir", "mkdirat") or re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest)
    return os.path.join(folder or "", path) if makes else None
