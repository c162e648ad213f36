"""The built program `edge-runner`, if it is here and was built from these sources."""

from functools import cache
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner.arm64 import kit_here
from pipeline.runner.sources import Target, build_folder, fingerprint

STAMP = "edge-runner-stamp"  # in the build folder, written last: what the build was made of
BUILD = "pipeline runner build"


def program(target: Target = "host") -> Path:
    """The executable. Raises SetupError where `why_not` has an answer."""
    lack = why_not(target=target)
    if lack:
        raise SetupError(f"The C++ runner cannot be used: {lack}.")
    return build_folder(target) / "bin" / "edge-runner"


def words(target: Target = "host") -> list[str]:
    """What starts the program here: for ARM64 the emulator stands before it."""
    before = kit_here().emulator() if target == "arm64" else []
    return [*before, str(program(target))]


def why_not(backend: str | None = None, target: Target = "host") -> str | None:
    """What keeps the program, with that backend, from being used here; None if nothing does."""
    how = f"{BUILD} --arm64" if target == "arm64" else BUILD
    try:
        folder = build_folder(target)
    except SetupError as error:
        return error.message
    if stamp(target) is None:
        return f"the C++ runner is not built ({how})"
    if stamp(target) != _fingerprint():
        return f"the C++ runner was built from other sources or for other libraries ({how})"
    if backend and not list(folder.glob(f"lib*/**/libedge_backend_{backend}.so")):
        return f"the C++ runner was built without {backend}"
    return None


def stamp(target: Target = "host") -> str | None:
    """What the build there was made of; None if there is none."""
    try:
        return (build_folder(target) / STAMP).read_text(encoding="utf-8").strip()
    except (OSError, SetupError):
        return None


@cache
def _fingerprint() -> str:
    """Once a process: several runtimes ask."""
    return fingerprint()
