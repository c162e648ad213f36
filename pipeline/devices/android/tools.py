"""The programs that an APK is built with, and running them."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.devices.android.process import run
from pipeline.errors import SetupError

TOOLS = {  # program: Debian's package
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
}
JVM = ("java", "javac")
PATIENCE_S = 600
# For programs of a minute: the JVM's second compiler costs more than it saves, and on two cores
# threads that collect garbage stand in each other's way.
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
SAID = 20  # lines of a tool's output that an error shows


def check_tools(names: Sequence[str] = tuple(TOOLS)) -> None:
    """Raises SetupError that names every one that is missing, and its package."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        packages = " ".join(dict.fromkeys(TOOLS[name] for name in missing))
        raise SetupError(
            f"For Android {', '.join(missing)} is missing.",
            f"Debian and Ubuntu: sudo apt-get install {packages}",
        )


def must(words: Sequence[object], what: str, *, secrets: dict[str, str] | None = None) -> str:
    """What a tool prints. `secrets` are variables of its environment alone.

    Raises SetupError with `what` and its last lines where it fails.
    """
    try:
        done = run(words, PATIENCE_S, secrets)
    except subprocess.TimeoutExpired:
        raise SetupError(f"{what}: {words[0]} took more than {PATIENCE_S} s.") from None
    if done.returncode:
        lines = (done.stderr.strip() + "\n" + done.stdout.strip()).strip().splitlines()
        tail = "\n".join(lines[-SAID:]) or f"{words[0]} ended with status {done.returncode}"
        raise SetupError(f"{what} failed:\n{tail}")
    return done.stdout


def java(jars: Sequence[Path], main: str, *words: object, memory: str = "1500m") -> list[str]:
    """The words that start a program of the JVM's."""
    path = ":".join(map(str, jars))
    return ["java", f"-Xmx{memory}", *QUICK, "-cp", path, main, *map(str, words)]


def jdk() -> Path:
    """The folder of the JDK whose javac is found first."""
    javac = shutil.which("javac")
    assert javac is not None
    return Path(javac).resolve().parents[1]
