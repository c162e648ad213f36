"""A model that is an ONNX file, as a module: it answers, and cannot be trained or traced."""

import re
from pathlib import Path

import onnxruntime as ort
import torch
from torch import Tensor

from pipeline.errors import UsageError, brief
from pipeline.graph.wrap import NamedInputs
from pipeline.project.weights import check_content

_CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")  # the error's code, in numbers and words


class OnnxModel(NamedInputs):
    """Runs the file in ONNX Runtime on the CPU, with one thread.

    `names` are the inputs that a caller gives, in the file's order; `shapes` theirs, None for an
    axis of any size; `outputs` the names of the outputs.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        if not path.is_file():
            raise UsageError(f"There is no {path}.", "Check [model] onnx.")
        check_content(path)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = _CODE.sub("", brief(error))
            raise UsageError(f"ONNX Runtime cannot read {path}: {reason}") from error
        self.path = path
        arguments = self.session.get_inputs()
        self.names = [argument.name for argument in arguments]
        self.shapes = {argument.name: _known(argument.shape) for argument in arguments}
        self.outputs = [argument.name for argument in self.session.get_outputs()]

    def forward(self, *inputs: Tensor, **named: Tensor) -> dict[str, Tensor]:
        """Outputs by the names of the file; inputs in the file's order, or by name.

        Raises UsageError where an input has another name, element type or shape than the file's.
        """
        tensors = dict(zip(self.names, inputs, strict=False)) | named
        if tensors.keys() != set(self.names) or len(inputs) + len(named) != len(self.names):
            raise UsageError(
                f"{self.path.name} takes {', '.join(self.names)}; "
                f"it was given {len(inputs) + len(named)}: {', '.join(tensors)}.",
                "Give [input] shapes under these names, in this order.",
            )
        feeds = {name: tensor.numpy(force=True) for name, tensor in tensors.items()}
        try:
            answers = self.session.run(None, feeds)
        except Exception as error:
            raise UsageError(
                f"{self.path.name} cannot run on this input: {_CODE.sub('', brief(error))}",
                "Check [input] kind, shapes and dtypes against the file: pipeline inspect FILE.",
            ) from error
        pairs = zip(self.outputs, answers, strict=True)
        return {name: torch.from_numpy(answer) for name, answer in pairs}


def _known(shape: list[int | str | None]) -> tuple[int | None, ...]:
    """A size that is no number, or negative as some converters write it, is any."""
    return tuple(size if isinstance(size, int) and size >= 0 else None for size in shape)
