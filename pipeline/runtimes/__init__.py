"""What executes an artifact. A runtime is a file here and a row in `RUNTIMES`.

The module of a runtime has two functions:

    why_not() -> str | None            what this machine lacks for it; None if it can run
    open(artifact: Path, threads: int) -> Runner

Arrays go in and come out in the order of the signature, with a batch axis.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from pipeline.artifacts import Format
from pipeline.errors import SetupError, UsageError

Array = NDArray[Any]


class Runner(Protocol):
    """An opened artifact."""

    def run(self, inputs: list[Array]) -> list[Array]:
        """Outputs for a batch. Raises RuntimeError where the runtime refuses or fails."""

    def close(self) -> None:
        """Gives memory and threads back; `run` must not be called after it."""

    def describe(self) -> dict[str, Any]:
        """Version, threads and whatever else a reader of the numbers must know."""


@dataclass(frozen=True)
class Runtime:
    """One row of the table. `format` is what it reads."""

    name: str
    format: Format
    module: str

    def why_not(self) -> str | None:
        answer: str | None = importlib.import_module(self.module).why_not()
        return answer

    def open(self, artifact: Path, threads: int) -> Runner:
        runner: Runner = importlib.import_module(self.module).open(artifact, threads)
        return runner


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("torchscript", "torchscript", "pipeline.runtimes.torchscript"),
        Runtime("onnxruntime", "onnx", "pipeline.runtimes.onnxruntime"),
    )
}


def usable(names: tuple[str, ...], format: Format) -> list[Runtime]:
    """The runtimes for a format: those named (all, if none is), in the table's order.

    Raises UsageError for an unknown name, SetupError for a named one that cannot run here.
    """
    for name in names:
        if name not in RUNTIMES:
            raise UsageError(f"There is no runtime {name!r}.", f"Known: {', '.join(RUNTIMES)}.")
    found = []
    for runtime in RUNTIMES.values():
        if runtime.format != format or (names and runtime.name not in names):
            continue
        lack = runtime.why_not()
        if lack and runtime.name in names:
            raise SetupError(f"The runtime {runtime.name} cannot run here: {lack}.")
        if not lack:
            found.append(runtime)
    return found
