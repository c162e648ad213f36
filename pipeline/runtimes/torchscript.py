"""TorchScript in Python: what LibTorch does, reached through torch."""

import warnings
from pathlib import Path
from typing import Any

import torch

from pipeline.formats.torchscript.load import load_script
from pipeline.graph.array import Array
from pipeline.runtimes import Asked, array_of, failure
from pipeline.system.machine import made_for as machine_kind

# The int8 kernels of LibTorch by kind of CPU; a file does not say which it was calibrated for.
ENGINES = {"x86_64": "x86", "arm64": "qnnpack"}


def why_not() -> str | None:
    return None  # torch is a dependency


def open(artifact: Path, asked: Asked) -> "TorchScriptRunner":
    """`alone` changes nothing here: torch's threads wait as OpenMP has it."""
    return TorchScriptRunner(artifact, asked.threads, asked.made_for)


class TorchScriptRunner:
    """Sets torch's thread count and quantized engine, which are the process's, until `close`."""

    def __init__(self, artifact: Path, threads: int, made_for: str) -> None:
        self.artifact = artifact
        # The quantize stage, which listens, has told the user; appended, so that listeners hear it.
        warnings.filterwarnings("ignore", "All inputs of this cat operator", append=True)
        self.before = torch.get_num_threads(), torch.backends.quantized.engine
        torch.set_num_threads(threads)
        torch.backends.quantized.engine = engine_for(made_for)
        try:
            self.module: Any = load_script(artifact).eval()
        except Exception as error:
            self._restore()
            raise failure(error, artifact) from error
        self.copies = _writes(self.module.inlined_graph)

    def run(self, inputs: list[Array]) -> list[Array]:
        try:
            with torch.inference_mode():
                answer = self.module(*(self._tensor(array) for array in inputs))
            answers = answer if isinstance(answer, tuple | list) else (answer,)
            return [array_of(tensor) for tensor in answers]
        except Exception as error:
            raise failure(error, self.artifact) from error

    def _tensor(self, array: Array) -> torch.Tensor:
        return torch.from_numpy(array.copy() if self.copies else array)

    def close(self) -> None:
        del self.module
        self._restore()

    def describe(self) -> dict[str, Any]:
        return {
            "runtime": "torchscript",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "engine": torch.backends.quantized.engine,
        }

    def _restore(self) -> None:
        threads, engine = self.before
        torch.set_num_threads(threads)
        torch.backends.quantized.engine = engine


def _writes(block: Any) -> bool:
    """Whether an operator of a graph writes into one of its arguments, which may be a view of what
    the caller gave."""
    return any(
        "!" in node.schema().partition("->")[0] or any(_writes(inner) for inner in node.blocks())
        for node in block.nodes()
    )


def engine_for(made_for: str) -> str:
    """The int8 kernels for an artifact: those of the CPU that it was made for, where torch has
    them here, else those of this machine."""
    supported = torch.backends.quantized.supported_engines
    for kind in (made_for, machine_kind()):
        if ENGINES.get(kind) in supported:
            return ENGINES[kind]
    return str(torch.backends.quantized.engine)
