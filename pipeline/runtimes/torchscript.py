"""TorchScript in Python: what LibTorch does, reached through torch."""

from pathlib import Path
from typing import Any

import torch

from pipeline.runtimes import Array


def why_not() -> str | None:
    return None  # torch is a dependency


def open(artifact: Path, threads: int) -> "TorchScriptRunner":
    return TorchScriptRunner(artifact, threads)


class TorchScriptRunner:
    """torch's thread count and quantized engine are globals: one runner at a time."""

    def __init__(self, artifact: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self.threads = threads
        self.module: Any = torch.jit.load(artifact, map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def run(self, inputs: list[Array]) -> list[Array]:
        with torch.inference_mode():
            answer = self.module(*(torch.from_numpy(array) for array in inputs))
        answers = answer if isinstance(answer, tuple | list) else (answer,)
        return [tensor.numpy() for tensor in answers]

    def close(self) -> None:
        del self.module

    def describe(self) -> dict[str, Any]:
        return {
            "runtime": "torchscript",
            "version": torch.__version__,
            "threads": self.threads,
            "engine": torch.backends.quantized.engine,
        }
