"""What it takes to build the C++ runner for ARM64 here, and to run it: libraries, headers, QEMU.

A *kit* is a folder of the user's cache with Debian's libraries for arm64 and the wheels of PyTorch
and ONNX Runtime for it, in the versions that are installed here. Nothing of the system is changed.
Under QEMU answers are right and timings mean nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner.sources import cache
from pipeline.system.packages import version_of
from pipeline.system.progress import Bar, Reporter

TRIPLE = "aarch64-linux-gnu"
QEMU = "qemu-aarch64-static"
TOOLS = {  # program: Debian's package
    f"{TRIPLE}-g++": f"g++-{TRIPLE}",
    QEMU: "qemu-user-static",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}
LIBRARIES = (
    *("libc6", "libstdc++6", "libgcc-s1", "libgomp1", "zlib1g", "zlib1g-dev", "libssl3"),
    *("libssl-dev", "libpng16-16", "libpng-dev", "libturbojpeg0", "libturbojpeg0-dev"),
    *("nlohmann-json3-dev", "libcli11-dev"),
)
# torch's CPU library is linked with two of CUDA's, which are not used.
WHEELS = ("torch", "onnxruntime", "nvidia-cuda-cupti", "nvidia-cuda-runtime")
NEWEST_GLIBC = 36  # 2.36 is Debian 12's: wheels for older ones do

# An ARMv8.2 core with the instructions for int8 dot products, as phones and boards have them. The
# default of QEMU 7.2, `max`, has more, and there ONNX Runtime 1.29's dynamic int8 is plainly wrong:
# by which of its instructions and by whose mistake is not known.
CPU = "neoverse-n1"
# ONNX Runtime asks /proc/cpuinfo what it runs on and does not bear this machine's answer.
CPUINFO = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


@dataclass(frozen=True)
class Kit:
    folder: Path

    @property
    def sysroot(self) -> Path:
        return self.folder / "sysroot"

    @property
    def libtorch(self) -> Path:
        return self.folder / "wheels" / "torch"

    @property
    def onnxruntime(self) -> Path:
        return self.folder / "wheels" / "onnxruntime" / "capi"

    def emulator(self) -> list[str]:
        """What stands before a program for ARM64 to run it here."""
        libraries = [self.libtorch / "lib", self.folder / "wheels" / "nvidia" / "cu13" / "lib"]
        path = os.pathsep.join(map(str, libraries))
        return [QEMU, "-cpu", CPU, "-L", str(self.sysroot), "-E", f"LD_LIBRARY_PATH={path}"]

    def definitions(self) -> list[str]:
        """For CMake."""
        return [
            f"-DEDGE_RUNNER_SYSROOT={self.sysroot}",
            f"-DONNXRUNTIME_LIBRARY_DIR={self.onnxruntime}",
            f"-DLibTorch_ROOT={self.libtorch}",
        ]


def kit_here() -> Kit:
    """The one for the installed versions, whether it is there or not."""
    versions = [f"{name}=={_version(name)}" for name in WHEELS]
    digest = hashlib.sha256("\n".join((*versions, *LIBRARIES, CPUINFO)).encode()).hexdigest()
    return Kit(cache() / f"arm64-{digest[:16]}")


def prepare(report: Reporter) -> Kit:
    """The kit, made where it is not there yet: downloads half a gigabyte, once.

    Raises SetupError where a tool is missing or something cannot be fetched.
    """
    kit = kit_here()
    check_tools()
    if not kit.folder.is_dir():
        kit.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kit.folder.parent) as scratch:
            draft = Kit(Path(scratch) / "kit")
            with report.bar("libraries for ARM64, 0.5 GB once", 2 * len(WHEELS) + 2) as bar:
                _fill_sysroot(draft, Path(scratch), bar)
                _fill_wheels(draft, Path(scratch), bar)
            if not kit.folder.is_dir():  # somebody else may have been faster
                draft.folder.rename(kit.folder)
    return kit


def check_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise SetupError(
            f"For ARM64 {', '.join(missing)} is missing.",
            f"Debian and Ubuntu: sudo apt-get install {' '.join(missing)}",
        )


def _version(name: str) -> str:
    return version_of(name).partition("+")[0]


def _fill_sysroot(kit: Kit, scratch: Path, bar: Bar) -> None:
    """Debian's packages for arm64, unpacked; apt keeps its state in `scratch`."""
    folders = {name: scratch / name for name in ("lists", "archives", "debs")}
    for folder in folders.values():
        (folder / "partial").mkdir(parents=True)
    (scratch / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",  # the scratch folder is ours alone
        "Dir::State": scratch,
        "Dir::State::lists": folders["lists"],
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch,
        "Dir::Cache::archives": folders["archives"],
    }
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in options.items())]
    bar.advance(0, "package lists")
    _must([*apt, "update"], scratch)
    bar.advance(1, "libraries")
    _must([*apt, "download", *LIBRARIES], folders["debs"])
    kit.sysroot.mkdir(parents=True)
    for package in sorted(folders["debs"].glob("*.deb")):
        _must(["dpkg-deb", "-x", str(package), str(kit.sysroot)], scratch)
    (kit.sysroot / "proc").mkdir()
    (kit.sysroot / "proc" / "cpuinfo").write_text(CPUINFO, encoding="utf-8")
    bar.advance(1)


def _fill_wheels(kit: Kit, scratch: Path, bar: Bar) -> None:
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, NEWEST_GLIBC + 1)]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
    for name in WHEELS:
        if version_of(name) == "none":
            bar.advance(2)  # a torch without CUDA needs none of it
            continue
        bar.advance(0, name)
        folder = scratch / f"wheel-{name}"
        _must([*pip, *platforms, "-d", str(folder), f"{name}=={_version(name)}"], scratch)
        bar.advance(1, f"unpacking {name}")
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            wanted = [member for member in archive.namelist() if _is_wanted(member)]
            archive.extractall(kit.folder / "wheels", wanted)
        wheel.unlink()
        bar.advance(1)


def _is_wanted(member: str) -> bool:
    """Headers and CPU libraries."""
    name = member.rpartition("/")[2]
    if member.startswith("torch/lib/"):
        return not any(part in name for part in ("cuda", "python", "nvshmem"))
    if member.startswith("nvidia/"):
        return name.startswith(("libcudart.so", "libcupti.so"))
    return member.startswith(("torch/include/", "torch.libs/", "onnxruntime/capi/libonnxruntime"))


def _must(command: list[str], folder: Path) -> None:
    done = subprocess.run(  # noqa: S603  programs of the system's, nothing of it is a user's
        command, cwd=folder, check=False, capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason"]
        raise SetupError(
            f"{Path(command[0]).name} could not fetch the libraries for ARM64: {said[-1]}",
            "Check the network, then try again.",
        )
