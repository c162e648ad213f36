"""`pipeline doctor`: this machine against what the pipeline is tested with. Loads nothing heavy."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

from pipeline.runner import program
from pipeline.system import machine

Status = Literal["ok", "warn", "missing"]

DISTRIBUTION = "edge-pipeline"
FIRST_PYTHON, LAST_PYTHON = (3, 11), (3, 14)  # onnxruntime 1.29 has wheels for these
LEAST_CORES = 2
LEAST_MEMORY_GB = 4  # exporting ResNet-50 and running batches of 32 peaks at 1.9, beside the system
LEAST_DISK_GB = 2  # a workspace holds each artifact, and a bundle them again
PATIENCE_S = 10  # for a tool to tell its version


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    `missing`: the pipeline does not work without it. `warn`: something optional is absent, or
    a version is not the tested one. `remedy` is the command that cures it, None where none is
    needed or known.
    """

    name: str
    found: str
    wanted: str
    status: Status
    remedy: str | None


@dataclass(frozen=True)
class Tool:
    """A program beside Python. `package` is Debian's; `least` the lowest version that is tested."""

    name: str
    purpose: str
    command: tuple[str, ...]
    package: str
    least: str | None = None


TOOLS = (
    Tool("g++", "C++ runner", ("g++", "-dumpfullversion", "-dumpversion"), "g++", "12"),
    Tool("cmake", "C++ runner", ("cmake", "--version"), "cmake", "3.25"),
    Tool("ninja", "C++ runner", ("ninja", "--version"), "ninja-build", "1.11"),
    Tool(
        "aarch64-linux-gnu-g++",
        "C++ runner for ARM64",
        ("aarch64-linux-gnu-g++", "-dumpfullversion", "-dumpversion"),
        "g++-aarch64-linux-gnu",
        "12",
    ),
    Tool("QEMU", "C++ runner for ARM64", ("qemu-aarch64-static", "--version"), "qemu-user-static"),
    Tool("java", "Android", ("java", "-version"), "openjdk-17-jdk-headless", "17"),
    Tool("maven", "Android; it brings Kotlin", ("mvn", "-version"), "maven", "3.8"),
    Tool("aapt2", "Android", ("aapt2", "version"), "aapt"),
    Tool("zipalign", "Android", ("zipalign",), "zipalign"),
    Tool("apksigner", "Android", ("apksigner", "--version"), "apksigner"),
    Tool("adb", "Android devices", ("adb", "--version"), "adb"),
)


def examine() -> list[Check]:
    """Everything that matters, what must be there first."""
    with ThreadPoolExecutor() as pool:  # tools take their time to start
        tools = pool.map(_tool, TOOLS)
        gpu = pool.submit(_gpu)
        return [_python(), *_packages(), *_hardware(), gpu.result(), *tools, _runner()]


def _runner() -> Check:
    lack = program.why_not()
    if lack is None:
        return Check("C++ runner", "built", "built", "ok", None)
    trouble = lack.removeprefix("the C++ runner ").removesuffix(f" ({program.BUILD})")
    return Check("C++ runner", trouble, "built from these sources", "warn", program.BUILD)


def _python() -> Check:
    own = sys.version_info[:2]
    status: Status = "ok" if own <= LAST_PYTHON else "warn"
    if own < FIRST_PYTHON:
        status = "missing"
    wanted = f"{_dotted(FIRST_PYTHON)} to {_dotted(LAST_PYTHON)}"
    remedy = None if status == "ok" else "sudo apt-get install -y python3-venv && scripts/setup"
    return Check("Python", _dotted(sys.version_info[:3]), wanted, status, remedy)


def _packages() -> Iterator[Check]:
    """One for each package that the distribution's own metadata requires."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check(DISTRIBUTION, "not installed", "installed", "missing", "scripts/setup")
        return
    seen = set()
    requirements = [Requirement(line) for line in lines]
    for requirement in sorted(requirements, key=_is_optional):
        for_work = "dev" not in str(requirement.marker)
        if for_work and requirement.name not in seen and requirement.name != DISTRIBUTION:
            seen.add(requirement.name)
            yield _package(requirement)


def _is_optional(requirement: Requirement) -> bool:
    """Whether only an extra asks for it."""
    return requirement.marker is not None and "extra" in str(requirement.marker)


def _package(requirement: Requirement) -> Check:
    optional = _is_optional(requirement)
    wanted = str(requirement.specifier) or "any"
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    name = f"{requirement.name} (optional)" if optional else requirement.name
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check(name, "none", wanted, "warn" if optional else "missing", remedy)
    if requirement.specifier.contains(version, prereleases=True):
        return Check(name, version, wanted, "ok", None)
    return Check(name, version, wanted, "warn", remedy)


def _hardware() -> Iterator[Check]:
    facts = machine.describe()
    yield _int8(facts.arch, facts.flags)
    cores, memory = facts.cores, facts.memory_bytes / 1e9
    disk = shutil.disk_usage(Path.cwd()).free / 1e9
    yield _enough("cores", cores, LEAST_CORES, "")
    yield _enough("memory", memory, LEAST_MEMORY_GB, " GB")
    yield _enough("free disk here", disk, LEAST_DISK_GB, " GB")


def _int8(arch: str, flags: list[str]) -> Check:
    """Whether the CPU multiplies int8 fast and without saturating (see `machine.has_vnni`)."""
    good = {"x86_64": ("amx_int8", *machine.VNNI), "arm64": ("i8mm", "asimddp")}.get(arch, ())
    fast = [flag for flag in flags if flag in good]
    wanted = "one of " + ", ".join(good) if good else "x86_64 or arm64"
    status: Status = "ok" if fast else "warn"
    return Check("CPU int8", ", ".join(fast) or f"none ({arch})", wanted, status, None)


def _enough(name: str, value: float, least: int, unit: str) -> Check:
    status: Status = "ok" if value >= least else "warn"
    return Check(name, f"{value:.0f}{unit}", f"at least {least}{unit}", status, None)


def _gpu() -> Check:
    """NVIDIA cards with their drivers. Having none is fine: everything runs on a CPU."""
    query = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    wanted = "optional, for training"
    if shutil.which("nvidia-smi"):
        code, output = _ask(query)
        if code == 0 and output:
            return Check("GPU", "; ".join(output.splitlines()), wanted, "ok", None)
        trouble = f"nvidia-smi fails: {output or f'status {code}'}"
        return Check("GPU", _line(trouble), wanted, "warn", "nvidia-smi")
    if Path("/proc/driver/nvidia/gpus").is_dir():
        remedy = "sudo apt-get install -y nvidia-smi"
        return Check("GPU", "a card without nvidia-smi", wanted, "warn", remedy)
    return Check("GPU", "none", wanted, "ok", None)


def _tool(tool: Tool) -> Check:
    name = f"{tool.name} ({tool.purpose})"
    wanted = f"at least {tool.least}" if tool.least else "any"
    remedy = f"sudo apt-get install -y {tool.package}"
    if shutil.which(tool.command[0]) is None:
        return Check(name, "none", wanted, "warn", remedy)
    _, output = _ask(tool.command)
    version = re.search(r"\d+(\.\d+)+|^\d+$", output, re.MULTILINE)
    if tool.least is None:
        return Check(name, version[0] if version else "there", wanted, "ok", None)
    if version and Version(version[0]) >= Version(tool.least):
        return Check(name, version[0], wanted, "ok", None)
    shown = (
        version[0] if version else f"does not print its version: {output or 'it prints nothing'}"
    )
    return Check(name, _line(shown), wanted, "warn", remedy)


def _line(text: str) -> str:
    """The first line, short enough for a table."""
    return text.splitlines()[0][:60]


def _ask(command: tuple[str, ...]) -> tuple[int, str]:
    """Exit status and all that a program says; status 127 if it does not start or end in time."""
    try:
        done = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
