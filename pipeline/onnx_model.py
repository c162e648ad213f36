"""A model that is an ONNX file, as a module: it answers, and cannot be trained or traced."""

from pathlib import Path

import onnxruntime as ort
import torch
from torch import Tensor, nn

from pipeline.errors import UsageError


class OnnxModel(nn.Module):
    """Runs the file in ONNX Runtime on the CPU; inputs in the file's order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        if not path.is_file():
            raise UsageError(f"There is no {path}.", "Check [model] onnx.")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            said = str(error).strip().splitlines()[0]
            raise UsageError(f"{path} is no ONNX file that ONNX Runtime reads: {said}") from error
        self.path = path
        self.names = [argument.name for argument in self.session.get_inputs()]

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Outputs by the names of the file."""
        feeds = dict(zip(self.names, (x.detach().numpy() for x in inputs), strict=True))
        answers = self.session.run(None, feeds)
        names = [argument.name for argument in self.session.get_outputs()]
        return {name: torch.from_numpy(answer) for name, answer in zip(names, answers, strict=True)}
