"""The precision that an artifact is computed in, which need not be the one it is stored in.

ONNX Runtime rewrites a graph for the CPU: it fuses dequantize, convolve and quantize into an
integer kernel, or does not; it puts casts around fp16 operators that this CPU has no kernel for.
The graph as it runs says which. LibTorch runs a file as it is.
"""

import tempfile
from collections import Counter
from pathlib import Path

from pipeline.workspace.artifacts import Artifact

# Operators with weights, where the time goes; by the name's end, since fusions put words before it.
WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose", "LSTM", "GRU")
INTEGER = ("QLinear", "QGemm", "Integer", "QAttention", "DynamicQuantize")
TORCH_WEIGHTED = ("conv1d", "conv2d", "conv3d", "_convolution", "linear", "matmul", "addmm")
FLOATS = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16"}  # onnx.TensorProto.DataType


def computed_in(artifact: Artifact, path: Path) -> dict[str, int] | None:
    """How many operators with weights compute in which precision; None if nobody can tell."""
    if artifact.format == "torchscript":
        return _torchscript(artifact)
    try:
        return _onnx(path)
    except Exception:  # the row itself says what is wrong with the file
        return None


def _torchscript(artifact: Artifact) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, count in artifact.operators.items():
        space, _, kind = name.partition("::")
        if any(word in kind for word in TORCH_WEIGHTED):
            counts["int8" if space == "quantized" else _float_of(artifact)] += count
    return dict(counts)


def _float_of(artifact: Artifact) -> str:
    return "fp32" if artifact.precision == "int8" else artifact.precision


def _onnx(path: Path) -> dict[str, int]:
    import onnx
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "as-it-runs.onnx")
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {info.name: info.type.tensor_type.elem_type for info in graph.value_info}
    for node in graph.node:
        if node.op_type == "Cast":
            types[node.output[0]] = node.attribute[0].i
    counts: Counter[str] = Counter()
    for node in graph.node:
        if any(word in node.op_type for word in INTEGER):
            counts["int8"] += (
                any(word in node.op_type for word in WEIGHTED) or "QGemm" in node.op_type
            )
        elif node.op_type.endswith(WEIGHTED):
            known = [FLOATS[types[name]] for name in node.input if types.get(name) in FLOATS]
            counts[known[0] if known else "unknown"] += 1
    return {precision: count for precision, count in counts.items() if count}
