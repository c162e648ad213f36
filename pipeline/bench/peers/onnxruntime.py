"""ONNX Runtime's default session: nothing set but the threads, no wrapper, no copy."""

from pathlib import Path
from typing import Any

from pipeline.graph.array import Array
from pipeline.runtimes import Asked, failure


def why_not() -> str | None:
    return None  # a dependency


def open(artifact: Path, asked: Asked) -> "DefaultSession":
    return DefaultSession(artifact, asked.threads)


class DefaultSession:
    def __init__(self, artifact: Path, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self.session = ort.InferenceSession(str(artifact), options)
        except Exception as error:
            raise failure(error, artifact) from error
        self.names = [argument.name for argument in self.session.get_inputs()]
        self.version = ort.__version__
        self.threads = threads

    def run(self, inputs: list[Array]) -> list[Array]:
        answers: list[Array] = self.session.run(None, dict(zip(self.names, inputs, strict=True)))
        return answers

    def close(self) -> None:
        del self.session

    def describe(self) -> dict[str, Any]:
        return {"runtime": "onnxruntime", "version": self.version, "threads": self.threads}
