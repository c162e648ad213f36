"""Where the C++ sources are, where they are built, and what a build was made of."""

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Literal

from pipeline.errors import SetupError
from pipeline.system.packages import version_of
from pipeline.workspace.artifacts import sha256_of

# What the program is made of; tests and presets for developers are not.
PARTS = ("CMakeLists.txt", "cmake", "include", "bundle", "runner", "tool")
ENGINES = ("torch", "onnxruntime")  # packages whose libraries it runs

Target = Literal["host", "arm64"]
PRESETS: dict[Target, str] = {"host": "release", "arm64": "arm64"}


def cache() -> Path:
    """`$XDG_CACHE_HOME/edge-pipeline`, which is ~/.cache/edge-pipeline if that is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "edge-pipeline"


def sources() -> Path:
    """`cpp_runner/` of the checkout, or the copy that the installed package has."""
    package = Path(__file__).parents[1]
    for folder in (package.parent / "cpp_runner", package / "cpp_runner"):
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise SetupError(
        "The sources of the C++ runner are not here.",
        "Install edge-pipeline again, or use it from a checkout.",
    )


def build_folder(target: Target = "host") -> Path:
    """In a checkout what the presets use too; else a folder of the user's cache."""
    folder = sources()
    if folder.parent == Path(__file__).parents[1]:
        return cache() / f"runner-{target}-{fingerprint()[:16]}"
    return folder / "build" / PRESETS[target]


def fingerprint() -> str:
    """Hex digest over the sources, and the versions and places of the libraries that it runs."""
    folder, digest = sources(), hashlib.sha256()
    files = [folder / part for part in PARTS if (folder / part).is_file()]
    files += [path for part in PARTS for path in (folder / part).rglob("*") if path.is_file()]
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256_of(path)}\n".encode())
    for name in ENGINES:
        found = importlib.util.find_spec(name)  # does not import it
        digest.update(f"{name} {version_of(name)} {found and found.origin}\n".encode())
    return digest.hexdigest()
