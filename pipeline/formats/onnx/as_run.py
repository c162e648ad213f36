"""The precision that an ONNX file is computed in, which need not be the one it is stored in.

ONNX Runtime rewrites a graph for the CPU: it fuses dequantize, convolve and quantize into an
integer kernel, or does not; it puts casts around fp16 operators that this CPU has no kernel for.
The graph as it runs says which.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime as ort

from pipeline.errors import DamagedError, brief
from pipeline.formats.onnx.graphs import PADDING

Kind = Literal["convolution", "linear", "recurrent"]
# Operators with weights, where the time goes; by the name's end, since fusions put words before it.
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "ConvInteger"), "convolution"),
    **dict.fromkeys(("Gemm", "MatMul", "MatMulInteger", "MatMulNBits"), "linear"),
    **dict.fromkeys(("MatMulIntegerToFloat",), "linear"),
    **dict.fromkeys(("LSTM", "GRU"), "recurrent"),
}
_INTEGER = ("QLinear", "QGemm", "Integer", "DynamicQuantize", "NBits")
_FLOATS = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16"}  # onnx.TensorProto.DataType


@dataclass(frozen=True)
class LayerAsRun:
    """`computed_in` is `int8`, `fp32`, `fp16` ... or `unknown`; `stored` says that one of its
    operands is a weight: a product of two computed tensors, as in attention, has none."""

    operator: str
    kind: Kind
    computed_in: str
    stored: bool


def layers_as_run(path: Path) -> list[LayerAsRun]:
    """The layers of a file, as ONNX Runtime runs them on this machine with one thread.

    Raises DamagedError for a file that it does not take.
    """
    graph = _optimized(path)
    stored = {t.name for t in graph.initializer if not t.name.startswith(PADDING)}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    types |= {n.output[0]: n.attribute[0].i for n in graph.node if n.op_type == "Cast"}
    layers = []
    for node in graph.node:
        kind = next((_KINDS[end] for end in _KINDS if node.op_type.endswith(end)), None)
        if kind is None:
            continue
        known = [_FLOATS[types[name]] for name in node.input if types.get(name) in _FLOATS]
        integer = any(word in node.op_type for word in _INTEGER)
        computed_in = "int8" if integer else known[0] if known else "unknown"
        layers.append(LayerAsRun(node.op_type, kind, computed_in, bool(stored & set(node.input))))
    return layers


def _optimized(path: Path) -> onnx.GraphProto:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "as-it-runs.onnx"
        options.optimized_model_filepath = str(target)
        try:
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise DamagedError(f"ONNX Runtime does not take {path}: {brief(error)}") from error
        return onnx.load(target).graph
