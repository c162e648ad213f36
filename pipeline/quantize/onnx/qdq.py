"""Quantize and dequantize nodes around the layers of an ONNX model, as ONNX Runtime fuses them.

uint8 activations × int8 weights per channel on x86, int8 × int8 on ARM: those are the pairs that
it has kernels for there.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from pipeline.formats.onnx.graphs import LAYERS, PADDING
from pipeline.quantize.histogram import value_range
from pipeline.quantize.onnx.bias import correct_biases
from pipeline.quantize.onnx.calibration import Observed, observe
from pipeline.quantize.onnx.graph import (
    constants,
    excluded_nodes,
    inputs_of,
    producers,
    regions,
    replace_nodes,
    sort_nodes,
    weighted,
)
from pipeline.quantize.onnx.pad import pad_channels
from pipeline.quantize.onnx.pool import pool_means
from pipeline.quantize.onnx.prepare import prepared, quantizing
from pipeline.quantize.recipes import Task
from pipeline.quantize.scheme import StaticScheme

# Layers whose outputs stay float: ONNX Runtime fuses them with a float output too, and neither
# scores nor residual streams are rounded.
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


@dataclass(frozen=True)
class CalibratedModel:
    """The float model, folded and with the nodes that may become int8, and what flows in it."""

    model: ModelProto
    nodes: tuple[str, ...]
    observed: Observed
    note: str | None = None


def folded(task: Task) -> tuple[ModelProto, str | None]:
    """The model as ONNX Runtime's quantizer wants it, and a note of what failed on the way."""
    path = task.scratch / "prepared.onnx"
    note = prepared(task, path)
    model = onnx.load(path)
    path.unlink()
    pool_means(model)
    return model, note


def calibrate(task: Task, model: ModelProto, note: str | None = None) -> CalibratedModel:
    """Chooses the nodes, runs the calibration samples."""
    names = chosen_nodes(model.graph, excluded_nodes(model, task.config.quantize.exclude))
    if not has_layers(model.graph, names):
        return CalibratedModel(model, (), Observed(), note)
    return CalibratedModel(model, tuple(names), observe(task, model, names), note)


def has_layers(graph: GraphProto, names: Collection[str]) -> bool:
    return any(node.name in names for node in graph.node if node.op_type in LAYERS)


def chosen_nodes(graph: GraphProto, kept_float: Collection[str]) -> list[str]:
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
            if _is_grouped_transposed(node):
                continue
            names.append(node.name)
            if node.op_type not in FLOAT_OUTPUTS:
                narrow.update(node.output)
        elif _is_between(node, narrow, stored):
            narrow.update(node.output)
            last = node.name in places.after and node.op_type not in REMOVABLE
            if node.op_type in BETWEEN and not last:
                names.append(node.name)
    return names


def _is_grouped_transposed(node: NodeProto) -> bool:
    """With a bias: ONNX Runtime's quantizer gives that the scales of one group's channels, where
    there are as many channels again for each group."""
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    biased = len(node.input) > 2 and bool(node.input[2])
    return node.op_type == "ConvTranspose" and groups > 1 and biased


def _is_between(node: NodeProto, narrow: set[str], stored: set[str]) -> bool:
    if node.op_type in ("Add", "Mul", "Concat"):
        return all(name in narrow or name in stored for name in node.input)
    return node.op_type in (*BETWEEN, *GATES) and node.input[0] in narrow


def qdq(
    calibrated: CalibratedModel, scheme: StaticScheme, kept_float: Collection[str] = ()
) -> ModelProto:
    """A quantized copy. The nodes in `kept_float`, and what then lies between no int8 layers, stay
    float; a model without layers to quantize comes back as it is."""
    model = ModelProto()
    model.CopyFrom(calibrated.model)
    graph = model.graph
    allowed = set(calibrated.nodes)
    names = [name for name in chosen_nodes(graph, kept_float) if name in allowed]
    if not has_layers(graph, names):
        return model
    if scheme.bias:
        correct_biases(graph, set(names), calibrated.observed, scheme)
    with quantizing("onnx:int8-static"):
        quantizer = QDQQuantizer(
            model=model,
            per_channel=scheme.per_channel,
            reduce_range=scheme.reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if scheme.activations == "int8" else QuantType.QUInt8,
            tensors_range=_ranges(calibrated.observed, scheme),
            nodes_to_quantize=names,
            nodes_to_exclude=[],
            op_types_to_quantize=sorted({n.op_type for n in graph.node if n.name in set(names)}),
            extra_options={
                "ActivationSymmetric": scheme.activations == "int8",
                "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS),
            },
        )
        quantizer.quantize_model()
    result: ModelProto = quantizer.model.model
    float_biases(result.graph)
    if scheme.padded:
        pad_channels(result.graph)
    sort_nodes(result.graph)
    shorten_names(result.graph)
    del result.graph.value_info[:]  # inferred for the quantizer; a runtime infers its own
    return result


def details_of(scheme: StaticScheme, model: ModelProto, note: str | None) -> dict[str, Any]:
    """For the artifact's details: how it was made, and whether that has padded anything."""
    padded = any(tensor.name.startswith(PADDING) for tensor in model.graph.initializer)
    return {**scheme.to_json(), "padded": padded} | ({"prepared": note} if note else {})


def float_biases(graph: GraphProto) -> None:
    """Stores the biases of convolutions as the float values that their int32 and scales stand for,
    in place: half the bytes, and ONNX Runtime (1.21 or later) makes the same int32 of them when it
    loads the file. Behind Gemm it does not, so that linear layers keep theirs."""
    stored, made = constants(graph), producers(graph)
    elsewhere = {n for node in graph.node if node.op_type != "Conv" for n in inputs_of(node)}
    gone: set[str] = set()
    for node in graph.node:
        turned = made.get(node.input[2]) if node.op_type == "Conv" and len(node.input) > 2 else None
        if turned is None or turned.op_type != "DequantizeLinear":
            continue
        if turned.output[0] in elsewhere or turned.input[0] not in stored:
            continue
        name = f"{turned.input[0]}_float"
        if turned.output[0] not in gone:
            numbers, scale = (numpy_helper.to_array(stored[part]) for part in turned.input[:2])
            values = (numbers * scale.astype(np.float64)).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(values, name))
        gone.add(turned.output[0])
        node.input[2] = name
    replace_nodes(graph, [node for node in graph.node if node.output[0] not in gone])
    read = {name for node in graph.node for name in inputs_of(node)}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def shorten_names(graph: GraphProto) -> None:
    """Quantize and dequantize nodes without names of their own, and `x_q` and `x_dq` for what they
    make of `x`, in place: the quantizer's names are a hundredth of a small network's file."""
    ends = {
        "QuantizeLinear": ("_QuantizeLinear_Output", "_q"),
        "DequantizeLinear": ("_DequantizeLinear_Output", "_dq"),
    }
    taken = {name for node in graph.node for name in node.output}
    short: dict[str, str] = {}
    for node in graph.node:
        if node.op_type not in ends:
            continue
        node.ClearField("name")
        long, brief = ends[node.op_type]
        name = node.output[0].removesuffix(long) + brief
        if node.output[0].endswith(long) and name not in taken:
            short[node.output[0]] = name
            taken.add(name)
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = short.get(name, name)


def _ranges(observed: Observed, scheme: StaticScheme) -> TensorsData:
    found = {}
    for name, histogram in observed.histograms.items():
        low, high = value_range(histogram, scheme.ranges, scheme.activations == "int8")
        # Values beyond float32's normal range would make the scale zero.
        ends = {"lowest": np.array(low, np.float32), "highest": np.array(high, np.float32)}
        found[name] = TensorData(**ends)
    return TensorsData(CalibrationMethod.MinMax, found)
