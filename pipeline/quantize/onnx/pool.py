"""Means over height and width as GlobalAveragePool, which ONNX Runtime computes on int8.

Exporters write adaptive pooling to 1×1 and squeeze-and-excitation as ReduceMean, which has no
int8 kernel: the whole feature map would be made float for it.
"""

from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from pipeline.quantize.onnx.graph import constants, replace_nodes

RANK = 4  # [batch, channels, height, width]


def pool_means(model: ModelProto) -> None:
    """Rewrites in place, where shapes say that a tensor has height and width. Same values."""
    ranks = _ranks(model.graph)
    means = {node.name for node in model.graph.node if _is_spatial(node, model.graph, ranks)}
    if means:
        lists = [_pooled(node) if node.name in means else [node] for node in model.graph.node]
        replace_nodes(model.graph, [node for some in lists for node in some])


def _pooled(node: NodeProto) -> list[NodeProto]:
    """One node, or two where the mean drops the axes. The first keeps the name and metadata."""
    keeps = _attribute(node, "keepdims", 1)
    pool = NodeProto()
    pool.CopyFrom(node)
    pool.op_type = "GlobalAveragePool"
    del pool.attribute[:]
    del pool.input[1:]
    if keeps:
        return [pool]
    pool.output[0] = f"{node.output[0]}.pooled"
    flat = helper.make_node("Flatten", list(pool.output), list(node.output), f"{node.name}.flatten")
    return [pool, flat]


def _is_spatial(node: NodeProto, graph: GraphProto, ranks: dict[str, int]) -> bool:
    if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != RANK:
        return False
    if len(node.input) > 1 and node.input[1]:
        tensor = constants(graph).get(node.input[1])
        axes = [] if tensor is None else numpy_helper.to_array(tensor).reshape(-1).tolist()
    else:
        axes = _attribute(node, "axes", [])
    return sorted(axis % RANK for axis in axes) == [2, 3]


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    given = [attribute for attribute in node.attribute if attribute.name == name]
    return helper.get_attribute_value(given[0]) if given else default


def _ranks(graph: GraphProto) -> dict[str, int]:
    values = (*graph.value_info, *graph.input, *graph.output)
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in values
        if value.type.tensor_type.HasField("shape")
    }
