"""LibTorch in the C++ runner, on the CPU."""

from pathlib import Path

from pipeline.runner import program
from pipeline.runtimes import Asked
from pipeline.runtimes.cpp_process import ProgramRunner, edge_runner


def why_not() -> str | None:
    return program.why_not("libtorch")


def open(artifact: Path, asked: Asked) -> ProgramRunner:
    """In a process of its own, which checks inputs against the signature."""
    return edge_runner(artifact, "torchscript", asked)
