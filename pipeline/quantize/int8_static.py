"""int8-static for ONNX: quantize and dequantize nodes around the layers, ranges from samples.

uint8 activations × int8 weights per channel on x86, int8 × int8 on ARM: those are the pairs that
ONNX Runtime fuses there.
"""

from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto
from onnxruntime.quantization import CalibrationDataReader, QuantType
from onnxruntime.quantization.calibrate import MinMaxCalibrater, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from pipeline import machine
from pipeline.config import threads_or_all
from pipeline.onnx_file import onnx_bytes
from pipeline.quantize.calibration import calibration_batches
from pipeline.quantize.onnx_graph import excluded_nodes, regions, sort_nodes, weighted
from pipeline.quantize.onnx_pool import pool_means
from pipeline.quantize.onnx_prepare import prepared, quiet
from pipeline.quantize.recipes import Quantized, Task, needs_reduced_range
from pipeline.runtimes import Array

# Layers whose weights become int8. Their outputs stay float behind Gemm and MatMul: ONNX Runtime
# fuses them with a float output too, and neither scores nor residual streams are rounded.
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
FLOAT_OUTPUTS = ("Gemm", "MatMul")
# Operators that ONNX Runtime computes on int8 as such, worth it only between int8 layers.
BETWEEN = (
    *("Relu", "Clip", "LeakyRelu", "Sigmoid", "Add", "Mul", "Concat", "MaxPool", "AveragePool"),
    *("GlobalAveragePool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Split"),
    *("Resize", "Pad", "Slice"),
)
# Computed in float, but narrow and cheap: what follows them may be int8 again.
GATES = ("HardSigmoid", "HardSwish", "Tanh", "Elu")
REMOVABLE = ("Relu", "Clip")  # become part of the range that follows the layer before them


def apply(task: Task) -> Quantized:
    path = task.scratch / "prepared.onnx"
    note = prepared(task, path)
    model = onnx.load(path)
    pool_means(model)
    onnx.save(model, path)  # the calibration reads it
    names = chosen_nodes(model.graph, excluded_nodes(model, task.config.quantize.exclude))
    details: dict[str, Any] = {
        "activations": "int8" if _arm() else "uint8",
        "weights": "int8 per channel",
        "reduce_range": needs_reduced_range(),
        "calibration": "minmax",
    }
    if note:
        details["prepared"] = note
    if any(node.name in names for node in model.graph.node if node.op_type in LAYERS):
        model = _quantized(task, model, path, names)
    return Quantized(
        onnx_bytes(model, f"{task.source.id} as int8-static"), machine.made_for(), details
    )


def _arm() -> bool:
    return machine.made_for() == "arm64"


def chosen_nodes(graph: GraphProto, kept_float: set[str]) -> list[str]:
    """Names of the nodes to quantize, by what they are and where they lie.

    Layers with stored weights; operators that move or combine values between convolutions. What
    lies before the first weight (the preprocessing) or behind the last (softmax) stays float.
    """
    places, weights = regions(graph), weighted(graph)
    narrow: set[str] = set()  # tensors that are int8 anyway, or lie in a gate beside one
    stored = {tensor.name for tensor in graph.initializer}
    names = []
    for node in graph.node:
        if node.name in kept_float or node.name in places.before:
            continue
        if node.op_type in LAYERS and node.name in weights:
            names.append(node.name)
            if node.op_type not in FLOAT_OUTPUTS:
                narrow.update(node.output)
        elif _is_between(node, narrow, stored):
            narrow.update(node.output)
            last = node.name in places.after and node.op_type not in REMOVABLE
            if node.op_type in BETWEEN and not last:
                names.append(node.name)
    return names


def _is_between(node: NodeProto, narrow: set[str], stored: set[str]) -> bool:
    if node.op_type in ("Add", "Mul", "Concat"):
        return all(name in narrow or name in stored for name in node.input)
    return node.op_type in (*BETWEEN, *GATES) and node.input[0] in narrow


def _quantized(task: Task, model: ModelProto, path: Path, names: list[str]) -> ModelProto:
    types = sorted({node.op_type for node in model.graph.node if node.name in set(names)})
    ranges = _ranges(task, path, types)
    with quiet():
        quantizer = QDQQuantizer(
            model=model,
            per_channel=True,
            reduce_range=needs_reduced_range(),
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if _arm() else QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=names,
            nodes_to_exclude=[],
            op_types_to_quantize=types,
            extra_options={
                "ActivationSymmetric": _arm(),
                "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS),
            },
        )
        quantizer.quantize_model()
    result: ModelProto = quantizer.model.model
    sort_nodes(result.graph)
    del result.graph.value_info[:]  # inferred for the quantizer; a runtime infers its own
    return result


def _ranges(task: Task, path: Path, types: list[str]) -> TensorsData:
    """Smallest and largest value of each activation over the calibration samples."""
    calibrator = MinMaxCalibrater(path, types, str(task.scratch / "augmented.onnx"))
    calibrator.augment_graph()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads_or_all(task.config.quantize.threads)
    options.log_severity_level = 3
    calibrator.infer_session = ort.InferenceSession(
        calibrator.augmented_model_path, options, providers=["CPUExecutionProvider"]
    )
    inputs = [spec.name for spec in task.signature.inputs]
    for batch in calibration_batches(task):
        # One reader a batch: the calibrator merges the ranges and forgets the values.
        calibrator.collect_data(_OneBatch(dict(zip(inputs, batch, strict=True))))
    return calibrator.compute_data()


class _OneBatch(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: dict[str, Array]) -> None:
        self._feeds: dict[str, Array] | None = feeds

    def get_next(self) -> dict[str, Array] | None:
        feeds, self._feeds = self._feeds, None
        return feeds
