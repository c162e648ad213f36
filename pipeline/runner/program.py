"""The built program `edge-runner`, if it is here and was built from these sources."""

from functools import cache
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner.sources import build_folder, fingerprint

STAMP = "edge-runner-stamp"  # in the build folder, written last: what the build was made of
BUILD = "pipeline runner build"


def program() -> Path:
    """The executable. Raises SetupError where `why_not` has an answer."""
    lack = why_not()
    if lack:
        raise SetupError(f"The C++ runner cannot be used: {lack}.", f"{BUILD} makes it.")
    return build_folder() / "bin" / "edge-runner"


def why_not(backend: str | None = None) -> str | None:
    """What keeps the program, with that backend, from being used here; None if nothing does."""
    try:
        folder = build_folder()
    except SetupError as error:
        return error.message
    if stamp() is None:
        return f"the C++ runner is not built ({BUILD})"
    if stamp() != _fingerprint():
        return f"the C++ runner was built from other sources or for other libraries ({BUILD})"
    if backend and not list(folder.glob(f"lib*/**/libedge_backend_{backend}.so")):
        return f"the C++ runner was built without {backend}"
    return None


def stamp() -> str | None:
    """What the build there was made of; None if there is none."""
    try:
        return (build_folder() / STAMP).read_text(encoding="utf-8").strip()
    except (OSError, SetupError):
        return None


@cache
def _fingerprint() -> str:
    """Once a process: several runtimes ask."""
    return fingerprint()
