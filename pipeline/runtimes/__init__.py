"""What executes an artifact. A runtime is a file here and a row in `RUNTIMES`.

The module of a runtime has two functions:

    why_not() -> str | None            what this machine lacks for it; None if it can run
    open(artifact: Path, asked: Asked) -> Runner

Arrays go in and come out in the order of the signature, with a batch axis. What comes out belongs
to the caller: nothing that the runner does later changes it.
"""

import importlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipeline.config.export import Format
from pipeline.errors import SetupError, UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature


class Runner(Protocol):
    """An opened artifact."""

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for a batch. Raises RunnerError where the runtime fails."""

    def close(self) -> None:
        """Gives memory and threads back; `run` must not be called after it."""

    def describe(self) -> dict[str, Any]:
        """Version, threads and whatever else a reader of the numbers must know."""


@dataclass(frozen=True)
class Asked:
    """How an artifact is to be opened.

    `signature` is what it takes and gives; a runtime that checks inputs before they reach the
    model needs it. `made_for` is the artifact's: it chooses between kernels where the file leaves
    that open. `alone` says that nothing else computes here meanwhile, so that threads may spin
    while they wait, as they do in a program of its own.
    """

    signature: Signature
    threads: int
    made_for: str = "any"
    alone: bool = False


@dataclass(frozen=True)
class Runtime:
    """One row of the table. `format` is what it reads.

    `program`: it runs in `edge-runner`, which can also measure itself, so that the way to it is in
    no figure, and verify a bundle by itself. `emulates`: the kind of CPU that it stands for, where
    that is not this one; it is slow, and used where somebody asks for it.
    """

    name: str
    format: Format
    module: str
    program: bool = False
    emulates: str | None = None

    @property
    def cpu(self) -> str | None:
        """The kind of CPU that it stands for, where that is not this one; the JVM runs on this."""
        return None if self.emulates == "jvm" else self.emulates

    def why_not(self) -> str | None:
        answer: str | None = importlib.import_module(self.module).why_not()
        return answer

    def open(self, artifact: Path, asked: Asked) -> Runner:
        """Opens a file; one runner is open at a time, since torch's settings are the process's.

        Raises RuntimeError, one line, if the runtime does not take the file.
        """
        module = importlib.import_module(self.module)
        runner: Runner = module.open(artifact, asked)
        return runner


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("torchscript", "torchscript", "pipeline.runtimes.torchscript"),
        Runtime("onnxruntime", "onnx", "pipeline.runtimes.onnxruntime"),
        Runtime("cpp-libtorch", "torchscript", "pipeline.runtimes.cpp_libtorch", True),
        Runtime("cpp-onnxruntime", "onnx", "pipeline.runtimes.cpp_onnxruntime", True),
        Runtime("jvm-onnxruntime", "onnx", "pipeline.runtimes.jvm_onnxruntime", False, "jvm"),
        Runtime("arm64-libtorch", "torchscript", "pipeline.runtimes.arm64_libtorch", True, "arm64"),
        Runtime("arm64-onnxruntime", "onnx", "pipeline.runtimes.arm64_onnxruntime", True, "arm64"),
    )
}


def usable(names: tuple[str, ...], format: Format, emulate: tuple[str, ...] = ()) -> list[Runtime]:
    """The runtimes for a format, in the table's order: those named (all of this machine's, if none
    is), and those that stand for what `emulate` names.

    Raises UsageError for an unknown name, SetupError for a named one that cannot run here.
    """
    for name in names:
        if name not in RUNTIMES:
            raise UsageError(f"There is no runtime {name!r}.", f"Known: {', '.join(RUNTIMES)}.")
    found = []
    for runtime in RUNTIMES.values():
        asked = runtime.emulates in emulate if runtime.emulates else False
        default = not names and not runtime.emulates
        if runtime.format != format or not (asked or default or runtime.name in names):
            continue
        lack = runtime.why_not()
        if lack and (asked or runtime.name in names):
            raise SetupError(f"The runtime {runtime.name} cannot run here: {lack}.")
        if not lack:
            found.append(runtime)
    return found


def array_of(tensor: Any) -> Array:
    """A tensor's numbers, in memory of their own; it may be a parameter. Of x.conj().imag torch
    keeps x's memory and a bit that says to turn the sign; NumPy knows of no such bit."""
    array: Array = tensor.detach().resolve_conj().resolve_neg().numpy().copy()
    return array


# torch: "RuntimeError: the cause" is the last line, below a trace of the script.
CAUSE = re.compile(r"^\w*(?:Error|Exception): (.+)$", re.MULTILINE)
# onnxruntime: its own source files, and the code of the error in numbers and words.
NOISE = re.compile(r"/onnxruntime_src/\S+ |\[ONNXRuntimeError\] : \d+ : \w+ : ")
LONGEST = 300


class RunnerError(RuntimeError):
    """What a runtime says of a file or an input that it does not take, in one line."""


def failure(error: BaseException, artifact: Path) -> RunnerError:
    """An error of a runtime as one line of at most 300 characters, without this machine's paths.

    One of Python's own has its type before it: `KeyError: 8`."""
    text = NOISE.sub("", str(error)).strip()
    causes = CAUSE.findall(text)
    line = causes[-1] if causes else text.partition("\n")[0]
    kind = type(error)
    if not line:
        line = kind.__name__
    elif kind.__module__ == "builtins" and kind not in (RuntimeError, Exception):
        line = f"{kind.__name__}: {line}"
    line = line.replace(f"{artifact.parent}{os.sep}", "").strip()
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[5 - LONGEST // 2 :]}"
    return RunnerError(line)
