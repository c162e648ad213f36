"""The Android app's own core on this machine's JVM: what the app would answer, on every sample."""

from pathlib import Path

from pipeline.devices.android import jvm
from pipeline.runtimes import Asked
from pipeline.runtimes.cpp_draft import ID
from pipeline.runtimes.cpp_process import ProgramRunner


def why_not() -> str | None:
    return jvm.why_not()


def open(artifact: Path, asked: Asked) -> ProgramRunner:
    """In a process of its own, which answers by the frames of the C++ runner."""

    def start(draft: Path) -> list[str]:
        return jvm.command(draft, ID, asked.threads)

    return ProgramRunner(artifact, "onnx", asked, start, "jvm")
