"""ONNX Runtime in Python, on the CPU."""

from pathlib import Path
from typing import Any

import onnxruntime as ort

from pipeline.runtimes import Array


def why_not() -> str | None:
    return None  # onnxruntime is a dependency


def open(artifact: Path, threads: int) -> "OnnxRuntimeRunner":
    return OnnxRuntimeRunner(artifact, threads)


class OnnxRuntimeRunner:
    def __init__(self, artifact: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads of two live sessions slow each other threefold on two cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self.threads = threads
        self.session = ort.InferenceSession(
            str(artifact), options, providers=["CPUExecutionProvider"]
        )
        self.names = [argument.name for argument in self.session.get_inputs()]

    def run(self, inputs: list[Array]) -> list[Array]:
        answers: list[Array] = self.session.run(None, dict(zip(self.names, inputs, strict=True)))
        return answers

    def close(self) -> None:
        del self.session

    def describe(self) -> dict[str, Any]:
        return {"runtime": "onnxruntime", "version": ort.__version__, "threads": self.threads}
