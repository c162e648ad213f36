"""A checkout in small: the real scripts/setup, on a package and a lock that need no network."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# What an editable installation needs, and uv, which installs the rest.
BUILD = ("editables", "hatchling", "packaging", "pathspec", "pip", "pluggy", "trove-classifiers")

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny"
version = "1"
"""

# setup refuses to start with less room than torch needs.
ROOM = 8 * 2**30


@dataclass(frozen=True)
class Checkout:
    """A folder as a clone has it. `run` is `scripts/setup` in it."""

    folder: Path
    wheels: Path

    def environment(self) -> dict[str, str]:
        """Packages come from `wheels` alone, for pip and for uv."""
        index = self.wheels.as_uri()
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
            "PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": index,
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": index,
        }

    def run(self, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "scripts" / "setup"],
            env={**self.environment(), **(extra or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def python(self, code: str) -> str:
        """What a program prints in the .venv that setup made."""
        python = self.folder / ".venv" / "bin" / "python"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    @property
    def stamp(self) -> Path:
        return self.folder / ".venv" / "setup-stamp"


def pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version}"


def digest(wheel: Path) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def pack_wheel(name: str, folder: Path) -> Path:
    """An installed distribution as a wheel again."""
    distribution = metadata.distribution(name)
    stem = f"{name.replace('-', '_')}-{distribution.version}"
    tag = (distribution.read_text("WHEEL") or "").partition("Tag: ")[2].split()[0]
    entry_points = {point.name for point in distribution.entry_points}
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in distribution.files or []:
            if file.parts[0] == "..":  # a program beside Python
                if file.name in entry_points or file.name.startswith("pip"):
                    continue  # made anew by whoever installs the wheel
                inside = f"{stem}.data/scripts/{file.name}"
            else:
                inside = file.as_posix()
            if "__pycache__" not in inside and file.locate().is_file():  # type: ignore[attr-defined]
                archive.write(file.locate(), inside)
    return path
