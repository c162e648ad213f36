"""int8-dynamic for ONNX: int8 weights of linear and LSTM layers, activations measured as they run.

Convolutions stay float: quantizing their input at every call costs more than int8 saves.
"""

from collections import Counter
from collections.abc import Collection

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, numpy_helper
from onnxruntime.quantization import QuantizationMode, QuantType
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer

from pipeline.formats.onnx.write import onnx_bytes
from pipeline.quantize.onnx.graph import excluded_nodes, regions, sort_nodes, weighted
from pipeline.quantize.onnx.prepare import prepared, quantizing
from pipeline.quantize.recipes import Quantized, Task, needs_reduced_range

TYPES = ("MatMul", "LSTM")  # a Gemm is taken apart into MatMul and Add first
SOURCES = (*TYPES, "Gemm")


def apply(task: Task) -> Quantized:
    path = task.scratch / "prepared.onnx"
    note = prepared(task, path)
    model = onnx.load(path)
    reduced = needs_reduced_range()
    details = {
        "activations": "uint8, range at run time",
        "weights": "int8 per channel",
        "reduce_range": reduced,
    } | ({"prepared": note} if note else {})
    model = with_dynamic_layers(model, task.config.quantize.exclude, reduced)
    data = onnx_bytes(model, f"{task.source.id} as int8-dynamic")
    return Quantized(data, task.target, details)


def turn_shared(graph: GraphProto) -> None:
    """Gives Gemms that share a weight with others one of their own kind, turned as a MatMul has it.

    onnxruntime's quantizer turns a weight once for each Gemm that reads it, in place.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    turned: set[str] = set()
    for node in graph.node:
        weight = stored.get(node.input[1]) if node.op_type == "Gemm" else None
        turns = [a for a in node.attribute if a.name == "transB" and a.i]
        if weight is None or not turns or readers[weight.name] < 2:
            continue
        name = f"{weight.name}.turned"
        if name not in turned:
            values = np.ascontiguousarray(numpy_helper.to_array(weight).T)
            graph.initializer.append(numpy_helper.from_array(values, name))
            turned.add(name)
        node.input[1] = name
        node.attribute.remove(turns[0])
    read = {name for node in graph.node for name in node.input}
    for name in turned:
        weight = stored[name.removesuffix(".turned")]
        if weight.name not in read:
            graph.initializer.remove(weight)


def with_dynamic_layers(
    model: ModelProto, patterns: tuple[str, ...], reduced: bool, kept_float: Collection[str] = ()
) -> ModelProto:
    """The model with its float linear and LSTM layers in int8, but for those that `patterns` or
    `kept_float` name, and what lies before the first layer. Nodes must have names."""
    before = regions(model.graph).before
    weights = weighted(model.graph)
    kept = {*excluded_nodes(model, patterns), *before, *kept_float}
    names = [
        node.name
        for node in model.graph.node
        if node.op_type in SOURCES and node.name in weights and node.name not in kept
    ]
    if names:
        turn_shared(model.graph)
        with quantizing("onnx:int8-dynamic"):
            quantizer = ONNXQuantizer(
                model=model,
                per_channel=True,
                reduce_range=reduced,
                mode=QuantizationMode.IntegerOps,
                static=False,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=None,
                # A Gemm's MatMul has its name with this behind it.
                nodes_to_quantize=[*names, *(f"{name}_MatMul" for name in names)],
                nodes_to_exclude=[],
                op_types_to_quantize=list(TYPES),
                extra_options={"MatMulConstBOnly": True},
            )
            quantizer.quantize_model()
        model = quantizer.model.model
        sort_nodes(model.graph)
    del model.graph.value_info[:]  # inferred for the quantizer; a runtime infers its own
    return model
