"""What this machine is, as far as answers and timings depend on it. Imports nothing heavy."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.system.packages import version_of

# Instruction sets that choose between kernels, and so can change the last bits of a float answer
# or, for int8, more than that; in the order in which they are shown.
FLAGS = (
    *("sse4_1", "avx", "f16c", "fma", "avx2"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx_vnni", "avx_vnni_int8"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
VNNI = ("avx512_vnni", "avx_vnni")
PACKAGES = ("numpy", "torch", "onnx", "onnxruntime")
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """Facts that hold as long as nobody changes the machine: no load, no free memory, no names.

    `cores` are those that this process may use, `memory_bytes` is all there is, `flags` are those
    of `FLAGS` that the CPU has (empty where the system does not tell).
    """

    cpu: str
    arch: str
    cores: int
    flags: list[str]
    memory_bytes: int
    os: str
    python: str
    versions: dict[str, str]


def describe() -> Machine:
    """This machine."""
    info = _cpuinfo()
    return Machine(
        cpu=_cpu_name(info),
        arch=made_for(),
        cores=cores(),
        flags=_flags(info),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        os=_os_name(),
        python=platform.python_version(),
        versions={name: version_of(name) for name in PACKAGES},
    )


def cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def made_for() -> str:
    """The kind of CPU, as `Artifact.made_for` has it: `x86_64`, `arm64`, else the system's word."""
    machine = platform.machine()
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(machine.lower(), machine)


def has_vnni() -> bool:
    """Whether an x86 CPU adds up uint8 × int8 products in 32 bits.

    Without it two products are first added in 16 bits, where they can saturate: weights then need
    `reduce_range`. ARM knows no such step, so that False there says nothing.
    """
    return any(flag in VNNI for flag in _flags(_cpuinfo()))


def _cpuinfo() -> dict[str, str]:
    """The first processor's block of /proc/cpuinfo; empty where there is none."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    block = text.partition("\n\n")[0]
    lines = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _flags(info: dict[str, str]) -> list[str]:
    known = set((info.get("flags") or info.get("Features") or "").split())
    return [flag for flag in FLAGS if flag in known]


def _cpu_name(info: dict[str, str]) -> str:
    """x86 has a name in cpuinfo; ARM only numbers of its maker and part."""
    if "model name" in info:
        return info["model name"]
    if "CPU part" in info:
        return f"ARM implementer {info.get('CPU implementer')} part {info['CPU part']}"
    return platform.processor() or platform.machine()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"
