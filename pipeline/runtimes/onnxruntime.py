"""ONNX Runtime in Python, on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from pipeline.graph.array import Array
from pipeline.runtimes import Asked, RunnerError, failure

FATAL = 4  # log only what ends the process: errors come as exceptions


def why_not() -> str | None:
    return None  # onnxruntime is a dependency


def open(artifact: Path, asked: Asked) -> "OnnxRuntimeRunner":
    """`made_for` changes nothing here: the operators of the file say how they are to be run."""
    return OnnxRuntimeRunner(artifact, asked.threads, asked.alone)


class OnnxRuntimeRunner:
    def __init__(self, artifact: Path, threads: int, alone: bool) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads of two live sessions slow each other threefold on two cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(alone)))
        options.log_severity_level = FATAL
        self.artifact = artifact
        self.spinning = alone
        try:
            self.session = ort.InferenceSession(
                str(artifact), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise failure(error, artifact) from error
        self.names = [argument.name for argument in self.session.get_inputs()]

    def run(self, inputs: list[Array]) -> list[Array]:
        if len(inputs) != len(self.names):
            raise RunnerError(f"the file takes {len(self.names)} inputs, given {len(inputs)}")
        try:
            answers = self.session.run(None, dict(zip(self.names, inputs, strict=True)))
        except Exception as error:
            raise failure(error, self.artifact) from error
        return [np.array(answer) for answer in answers]

    def close(self) -> None:
        del self.session

    def describe(self) -> dict[str, Any]:
        options = self.session.get_session_options()
        return {
            "runtime": "onnxruntime",
            "version": ort.__version__,
            "threads": options.intra_op_num_threads,
            "spinning": self.spinning,
        }
