"""Builds the C++ runner with CMake and Ninja, for the libraries of this Python."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner.arm64 import prepare
from pipeline.runner.headers import headers
from pipeline.runner.program import STAMP
from pipeline.runner.sources import Target, build_folder, fingerprint, sources
from pipeline.system.progress import Bar, Reporter

TOOLS = {"cmake": "cmake", "ninja": "ninja-build", "c++": "g++"}  # program: Debian's package
LIBRARIES = "nlohmann-json3-dev libcli11-dev libssl-dev libpng-dev libturbojpeg0-dev zlib1g-dev"
STEP = re.compile(r"^\[(\d+)/(\d+)\] ")  # Ninja's progress


def build(report: Reporter, clean: bool = False, target: Target = "host") -> Path:
    """Brings the program up to date and gives its path.

    Raises SetupError, with the last lines that CMake or the compiler printed, if it cannot be
    built. A build that fails leaves no program that would pass for the new one.
    """
    _check_tools()
    folder, made_of = build_folder(target), fingerprint()
    if clean:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8").strip() != made_of:
        stamp.unlink(missing_ok=True)
        _configure(folder, target, report)
    _compile(folder, report)
    draft = stamp.with_suffix(".draft")
    draft.write_text(made_of + "\n", encoding="utf-8")
    draft.replace(stamp)
    return folder / "bin" / "edge-runner"


def _check_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise SetupError(
            f"To build the C++ runner {', '.join(missing)} is missing.",
            f"Debian and Ubuntu: sudo apt-get install {' '.join(missing)} {LIBRARIES}",
        )


def _configure(folder: Path, target: Target, report: Reporter) -> None:
    source = sources()
    if target == "arm64":
        toolchain = source / "cmake" / "aarch64-linux-gnu.cmake"
        where = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", *prepare(report).definitions()]
    else:
        where = [f"-DEDGE_RUNNER_PYTHON={sys.executable}"]
    done = subprocess.run(
        [
            *("cmake", "-S", source, "-B", folder, "-G", "Ninja"),
            "-DCMAKE_BUILD_TYPE=Release",
            *where,
            f"-DONNXRUNTIME_HEADERS={headers(report)}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SetupError(
            f"CMake cannot prepare the C++ runner:\n{_last(done.stderr)}",
            f"Debian and Ubuntu have the libraries: sudo apt-get install {LIBRARIES}",
        )
    for line in done.stdout.splitlines():
        if line.startswith("-- Not built: "):
            report.warn(line.removeprefix("-- "))


def _compile(folder: Path, report: Reporter) -> None:
    # Ninja writes a line a step where no terminal is; `[3/41] Building ...`.
    process = subprocess.Popen(
        ["cmake", "--build", folder, "--parallel", str(len(os.sched_getaffinity(0)))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is ours; we end it
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        with report.bar("C++ runner", 1) as bar:
            done = 0.0
            for line in process.stdout:
                said.append(line)
                done = _show(line, bar, done)
    finally:
        if process.poll() is None and sys.exc_info()[0] is not None:
            process.terminate()  # Ninja hands it on to the compilers
        process.wait()
        process.stdout.close()
    if process.returncode:
        raise SetupError(f"The C++ runner cannot be built:\n{_last(''.join(said))}")


def _show(line: str, bar: Bar, done: float) -> float:
    """Moves the bar to where Ninja is, and gives that share."""
    step = STEP.match(line)
    if step is None:
        return done
    share = int(step[1]) / int(step[2])
    bar.advance(share - done, Path(line.rsplit(maxsplit=1)[-1]).name)
    return share


def _last(text: str, lines: int = 30) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
