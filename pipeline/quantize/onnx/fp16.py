"""fp16 for ONNX: half the bytes. Weights and arithmetic of the model become float16.

Inputs, outputs, preprocessing and the output's activation keep their types, so that pixels and
probabilities stay exact. A runtime without float16 arithmetic for an operator, such as ONNX
Runtime on most CPUs, computes that operator in float32.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

from pipeline.formats.onnx.load import load_onnx
from pipeline.formats.onnx.write import onnx_bytes
from pipeline.project.library import library
from pipeline.quantize.onnx.graph import (
    constants,
    excluded_nodes,
    inputs_of,
    name_nodes,
    opset,
    regions,
    replace_nodes,
    sort_nodes,
)
from pipeline.quantize.recipes import Quantized, Task

HALF = "_fp16"  # behind the name of a tensor: its float16 version
LARGEST = 65504.0  # of float16; masks such as -3.4e38 are cut to it, infinity stays


def apply(task: Task) -> Quantized:
    model = load_onnx(task.path)
    name_nodes(model)
    halves = half_nodes(model, excluded_nodes(model, task.config.quantize.exclude))
    if halves:
        convert(model, halves)
    details = {"float32": "preprocessing, output activation, inputs, outputs"}
    return Quantized(onnx_bytes(model, f"{task.source.id} as fp16"), "any", details)


def half_nodes(model: ModelProto, kept_float: set[str]) -> set[str]:
    """Names of the nodes that compute in float16.

    Those behind the first weight and not behind the last, whose operator takes float16 wherever
    it now takes float32, as ONNX defines it. Nodes with graphs inside and unknown ones stay.
    """
    types, version, places = _float_tensors(model), opset(model), regions(model.graph)
    stays = kept_float | places.before | places.after
    return {
        node.name
        for node in model.graph.node
        if node.name not in stays and _takes_half(node, types, version)
    }


def convert(model: ModelProto, halves: set[str]) -> None:
    """Gives the nodes in `halves` float16 tensors, with a Cast where they meet the others.

    A tensor keeps its name as float32; its float16 version has `_fp16` behind it.
    """
    graph, types, version = model.graph, _float_tensors(model), opset(model)
    known = constants(graph)
    given: set[str] = set()  # tensors that exist as float16
    wanted: dict[str, None] = {}  # tensors that are read as float16
    for node in graph.node:
        if node.name not in halves:
            continue
        for index in _float_positions(node.input, _input_types(node, version), types):
            wanted[node.input[index]] = None
            node.input[index] += HALF
        for index in _float_positions(node.output, _output_types(node, version), types):
            given.add(node.output[index])
            node.output[index] += HALF
    read = {name for node in graph.node for name in inputs_of(node)}
    read |= {value.name for value in graph.output}
    casts = [_cast(name + HALF, name, TensorProto.FLOAT) for name in sorted(given & read)]
    for name in wanted:
        if name in known:
            graph.initializer.append(_half_tensor(known[name], name + HALF))
        elif name not in given:
            casts.append(_cast(name, name + HALF, TensorProto.FLOAT16))
    _drop_unread_weights(model, read)
    graph.node.extend(casts)
    sort_nodes(graph)
    del graph.value_info[:]


def _drop_unread_weights(model: ModelProto, read: set[str]) -> None:
    """Removes float32 constants that now are read as float16 alone."""
    graph = model.graph
    new = {tensor.name for tensor in graph.initializer if tensor.name.endswith(HALF)}
    kept = [tensor for tensor in graph.initializer if tensor.name in read | new]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    replace_nodes(
        graph,
        [node for node in graph.node if node.op_type != "Constant" or node.output[0] in read],
    )


def _float_tensors(model: ModelProto) -> set[str]:
    """Names of the float32 tensors of the main graph."""
    hint = 'Leave "fp16" out of [quantize] recipes.'
    with library("fp16: finding the types of tensors (onnx)", None, hint):
        graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    found = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    stored = constants(graph).items()
    return found | {name for name, tensor in stored if tensor.data_type == TensorProto.FLOAT}


def _takes_half(node: NodeProto, types: set[str], version: int) -> bool:
    if node.op_type in ("Cast", "Constant") or not _has_schema(node, version):
        return False
    if any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute):
        return False
    schema = _schema(node, version)
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    takes = _input_types(node, version)
    inputs = _float_positions(node.input, takes, types)
    outputs = _float_positions(node.output, _output_types(node, version), types)
    variables = {takes[index] for index in inputs}
    variables |= {_output_types(node, version)[index] for index in outputs}
    return bool(inputs) and all("tensor(float16)" in allowed[name] for name in variables)


def _float_positions(names: Sequence[str], kinds: list[str], types: set[str]) -> list[int]:
    """Where a float32 tensor stands whose type the operator leaves open."""
    return [
        index
        for index, (name, kind) in enumerate(zip(names, kinds, strict=True))
        if name in types and not kind.startswith("tensor(")
    ]


def _has_schema(node: NodeProto, version: int) -> bool:
    return node.domain in ("", "ai.onnx") and defs.has(node.op_type, version, "")


def _schema(node: NodeProto, version: int) -> defs.OpSchema:
    return defs.get_schema(node.op_type, version, "")


def _input_types(node: NodeProto, version: int) -> list[str]:
    return list(_kinds(_schema(node, version).inputs, len(node.input)))


def _output_types(node: NodeProto, version: int) -> list[str]:
    return list(_kinds(_schema(node, version).outputs, len(node.output)))


def _kinds(formal: Sequence[defs.OpSchema.FormalParameter], count: int) -> Iterator[str]:
    """The type of each actual parameter; the last formal one may stand for many."""
    for index in range(count):
        yield formal[min(index, len(formal) - 1)].type_str


def _half_tensor(tensor: TensorProto, name: str) -> TensorProto:
    array = numpy_helper.to_array(tensor)
    cut = np.where(np.isfinite(array), np.clip(array, -LARGEST, LARGEST), array)
    return numpy_helper.from_array(cut.astype(np.float16), name)


def _cast(source: str, target: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], f"{target}.cast", to=to)
