"""ONNX Runtime's C and C++ headers, which its wheel lacks.

Its Android archive has them, for the same version. That lies in an npm package of 150 MB, which is
fetched once with `npm pack`; what is kept is 1 MB. The archive's SHA-256 is known here, so it does
not matter who served it.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner.sources import cache, sources
from pipeline.system.progress import Reporter

PACKAGE = "com.github.asus4.onnxruntime@0.4.9"
MEMBER = "package/Plugins/Android/onnxruntime.aar"
SHA256 = "98cddbac92640b4a6af72a03c42e0491851f366d3da66bbaeb5dd66310946cf2"
PREFIX = "headers/"
WITNESS = "onnxruntime_cxx_api.h"
VARIABLE = "ONNXRUNTIME_HEADERS"


def headers(report: Reporter) -> Path:
    """The folder with the headers: $ONNXRUNTIME_HEADERS, or one in the user's cache.

    Raises SetupError where they are not here and cannot be fetched.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if not (Path(given) / WITNESS).is_file():
            raise SetupError(f"${VARIABLE} is {given}, where no {WITNESS} is.")
        return Path(given)
    folder = cache() / f"onnxruntime-headers-{onnxruntime_version()}"
    if not (folder / WITNESS).is_file():
        _fill(folder, report)
    return folder


def onnxruntime_version() -> str:
    """The release that Python, the C++ runner and the app run alike."""
    return (sources() / "cmake" / "onnxruntime-version.txt").read_text(encoding="utf-8").strip()


def archive() -> bytes:
    """The Android archive itself, checked. Raises SetupError where npm cannot fetch it."""
    with tempfile.TemporaryDirectory() as scratch:
        return _fetch(_npm(), Path(scratch))


def _fill(folder: Path, report: Reporter) -> None:
    """Fetches into a neighbour of `folder` and renames it: a half one never stands there."""
    npm = _npm()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            draft = Path(scratch) / "headers"
            draft.mkdir()
            with report.bar("headers of ONNX Runtime, 150 MB once", None):
                _unpack(_fetch(npm, Path(scratch)), draft)
            if not (folder / WITNESS).is_file():  # somebody else may have been faster
                draft.rename(folder)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise SetupError(
            f"The headers of ONNX Runtime {onnxruntime_version()} could not be kept in {folder}: "
            f"{error}."
        ) from error


def _npm() -> str:
    """The system's npm, or the one that the extra `runner` installs beside this Python."""
    own = shutil.which("npm", path=str(Path(sys.executable).parent))
    npm = shutil.which("npm") or own
    if npm is None:
        raise SetupError(
            "npm, which fetches the headers of ONNX Runtime, is not here.",
            "pip install 'edge-pipeline[runner]' brings it; or let "
            f"${VARIABLE} name a folder with the headers of ONNX Runtime {onnxruntime_version()}.",
        )
    return npm


def _fetch(npm: str, scratch: Path) -> bytes:
    """The archive that the package has, checked."""
    command = [npm, "pack", "--silent", PACKAGE]
    # npm is a script that wants its node beside it.
    path = os.pathsep.join((str(Path(npm).parent), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(  # noqa: S603  nothing of it is a user's
        command,
        cwd=scratch,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason"]
        raise SetupError(
            f"npm pack {PACKAGE} failed: {said[-1]}.",
            f"Check the network, or let ${VARIABLE} name a folder with the headers.",
        )
    (package,) = scratch.glob("*.tgz")
    with tarfile.open(package) as tar:
        member = tar.extractfile(MEMBER)
        assert member is not None
        archive = member.read()
    if hashlib.sha256(archive).hexdigest() != SHA256:
        raise SetupError(f"{PACKAGE} is not the known package: {MEMBER} has another SHA-256.")
    return archive


def _unpack(archive: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        for name in files.namelist():
            if name.startswith(PREFIX) and not name.endswith("/"):
                (folder / Path(name).name).write_bytes(files.read(name))
