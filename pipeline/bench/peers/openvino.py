"""OpenVINO on the CPU, tuned for latency as its manual says."""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.graph.array import Array
from pipeline.runtimes import Asked, failure


def why_not() -> str | None:
    if find_spec("openvino") is None:
        return "it is not installed (pip install 'edge-pipeline[openvino]')"
    return None


def open(artifact: Path, asked: Asked) -> "CompiledModel":
    return CompiledModel(artifact, asked.threads)


class CompiledModel:
    def __init__(self, artifact: Path, threads: int) -> None:
        import openvino

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self.model = openvino.Core().compile_model(str(artifact), "CPU", settings)
            self.request = self.model.create_infer_request()
        except Exception as error:
            raise failure(error, artifact) from error

    def run(self, inputs: list[Array]) -> list[Array]:
        answers = self.request.infer(inputs, share_inputs=True, share_outputs=True)
        return list(answers.values())

    def close(self) -> None:
        del self.request, self.model

    def describe(self) -> dict[str, Any]:
        """`precision` is the float type that it computes in, which it chooses by the CPU."""
        return {
            "runtime": "openvino",
            "version": metadata.version("openvino"),
            "threads": int(self.model.get_property("INFERENCE_NUM_THREADS")),
            "precision": self.model.get_property("INFERENCE_PRECISION_HINT").get_type_name(),
        }
