"""The app's core on this machine's JVM, built and found: the runtime `jvm-onnxruntime` asks it."""

import shutil
from functools import cache as once
from pathlib import Path

from pipeline.devices.android import jars as known
from pipeline.devices.android.compile import compile_kotlin
from pipeline.devices.android.jars import COMPILER, ORT_JVM, STDLIB, fetch
from pipeline.devices.android.sources import fingerprint, kotlin, lists, sources
from pipeline.devices.android.tools import JVM, check_tools, java
from pipeline.errors import SetupError
from pipeline.runner.sources import cache
from pipeline.system.progress import Reporter

PARTS = ("core/src/main", "jvm/src/main")
MAIN = "dev.edgepipeline.jvm.MainKt"
BUILD = "pipeline android jvm"
KEPT = 4  # builds; several checkouts share the cache


def build(report: Reporter) -> Path:
    """Compiles what is not compiled yet, and gives the folder of classes.

    Raises SetupError where a tool is missing or fails.
    """
    check_tools(JVM)
    jars = fetch((*COMPILER, ORT_JVM), report)
    folder = _folder()
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        with report.bar("the app's core for the JVM", None):
            compile_kotlin(kotlin(*PARTS), [jars[STDLIB], jars[ORT_JVM]], draft, jars)
        for name, file in lists().items():
            shutil.copyfile(file, draft / name)
        draft.rename(folder)
        why_not.cache_clear()
    folder.touch()
    prune(folder.parent)
    return folder


@once
def why_not() -> str | None:
    """What keeps it from being used here; None if nothing does. Asked once a process."""
    if shutil.which("java") is None:
        return "there is no java (Debian: openjdk-17-jdk-headless)"
    try:
        sources()
    except SetupError as error:
        return error.message
    if not _folder().is_dir():
        return f"the Android app's core is not built for the JVM ({BUILD})"
    missing = [jar.coordinate for jar in (STDLIB, ORT_JVM) if known.here(jar) is None]
    return f"{missing[0]} is missing ({BUILD})" if missing else None


def stamp() -> str:
    """What the program is made of: an ingredient of whatever asks it."""
    return f"jvm {fingerprint(*PARTS)}"


def command(bundle: Path, artifact: str, threads: int) -> list[str]:
    """What starts the program. Raises SetupError where `why_not` has an answer."""
    lack = why_not()
    if lack:
        raise SetupError(f"The app's core cannot be used: {lack}.")
    jars = [path for jar in (STDLIB, ORT_JVM) if (path := known.here(jar)) is not None]
    return java([_folder(), *jars], MAIN, bundle, artifact, str(threads))


def _folder() -> Path:
    return cache() / "android" / f"jvm-{fingerprint(*PARTS)[:16]}"


def prune(cached: Path) -> None:
    """Removes all builds but those that were asked for last."""
    builds = sorted(cached.glob("jvm-*"), key=lambda build: build.stat().st_mtime)
    for old in builds[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
