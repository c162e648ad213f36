"""Where the app's sources are, and what a build was made of."""

import hashlib
from pathlib import Path
from typing import Literal

from pipeline.devices.android.jars import digest
from pipeline.errors import SetupError
from pipeline.runner.sources import sources as runner_sources
from pipeline.workspace.artifacts import sha256_of

Flavor = Literal["plain", "pytorch"]

APP_ID = "dev.edgepipeline.app"
# What the app is made of; tests, Gradle's and Maven's files are not.
PARTS = ("core/src/main", "jvm/src/main", "app/src/main", "app/src/plain", "app/src/pytorch")
RULES = "app/proguard-rules.pro"


def sources() -> Path:
    """`android/` of the checkout, or the copy that the installed package has."""
    package = Path(__file__).parents[2]
    for folder in (package.parent / "android", package / "android_app"):
        if (folder / "app" / "src" / "main" / "AndroidManifest.xml").is_file():
            return folder
    raise SetupError(
        "The sources of the Android app are missing.",
        "Install edge-pipeline again, or use it from a checkout.",
    )


def kotlin(*parts: str) -> list[Path]:
    """The Kotlin files below parts of the sources, in order."""
    return [file for part in parts for file in sorted((sources() / part).rglob("*.kt"))]


def lists() -> dict[str, Path]:
    """What model files may use, as the C++ runner has it: where the core looks for each list, and
    the file."""
    folder = runner_sources() / "bundle"
    return {
        f"dev/edgepipeline/core/validate/{name}": folder / name
        for name in ("operators.txt", "onnx.txt")
    }


def fingerprint(*parts: str) -> str:
    """Hex digest over parts of the sources and all that is fetched to build them."""
    folder, stamp = sources(), hashlib.sha256(digest().encode())
    for name, file in lists().items():
        stamp.update(f"{name} {sha256_of(file)}\n".encode())
    files = [file for part in parts for file in (folder / part).rglob("*") if file.is_file()]
    for file in sorted(files):
        stamp.update(f"{file.relative_to(folder).as_posix()} {sha256_of(file)}\n".encode())
    return stamp.hexdigest()
