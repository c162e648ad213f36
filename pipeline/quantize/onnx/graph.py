"""Where a node lies in an ONNX graph, which weight it has, and which module it came from."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from pipeline.formats.onnx.graphs import PADDING
from pipeline.quantize.exclude_patterns import ancestors, excluded

# Operators with a weight, and the input that it is.
CONVOLUTIONS = {"Conv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3, "FusedConv": 1}
LINEARS = {"Gemm": 1, "MatMul": 1, "MatMulInteger": 1, "QLinearMatMul": 3, "FusedMatMul": 1}
LINEARS |= {"MatMulNBits": 1}
RECURRENT = {"LSTM": 1, "GRU": 1, "RNN": 1, "DynamicQuantizeLSTM": 1}
KINDS = {
    "convolutions": CONVOLUTIONS,
    "linear layers": LINEARS,
    "recurrent layers": RECURRENT,
}
WEIGHT_INPUT = CONVOLUTIONS | LINEARS | RECURRENT

# What may stand between an initializer and the operator whose weight it is.
_CARRIERS = ("DequantizeLinear", "QuantizeLinear", "Transpose", "Cast", "Identity", "Reshape")

_SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Regions:
    """Names of nodes by their place.

    `before` the first weight: nothing that they compute depends on one (the preprocessing).
    `after` the last: no weight sees what they compute (softmax and the like).
    """

    before: frozenset[str]
    after: frozenset[str]


def name_nodes(model: ModelProto) -> None:
    """Gives every node of the main graph a name that no other has; existing ones stay."""
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{index}"
        taken.add(node.name)


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Initializers and tensors of Constant nodes by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t
    return found


def producers(graph: GraphProto) -> dict[str, NodeProto]:
    return {output: node for node in graph.node for output in node.output if output}


def weight_of(
    node: NodeProto, known: dict[str, TensorProto], made: dict[str, NodeProto]
) -> TensorProto | None:
    """The stored weight of a convolution, linear or recurrent layer; None if it is computed."""
    position = WEIGHT_INPUT.get(node.op_type)
    if position is None or position >= len(node.input):
        return None
    name = node.input[position]
    while name not in known:
        carrier = made.get(name)
        if carrier is None or carrier.op_type not in _CARRIERS:
            return None
        name = carrier.input[0]
    return None if name.startswith(PADDING) else known[name]


def weighted(graph: GraphProto) -> dict[str, TensorProto]:
    """Weights by the name of the node that uses them."""
    known, made = constants(graph), producers(graph)
    found = ((node.name, weight_of(node, known, made)) for node in graph.node)
    return {name: weight for name, weight in found if weight is not None}


def inputs_of(node: NodeProto) -> Iterator[str]:
    """What a node reads, with what the graphs inside it (If, Loop) read from outside."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for part in inner.node:
                yield from inputs_of(part)


def sort_nodes(graph: GraphProto) -> None:
    """Puts nodes behind those whose outputs they read, otherwise in the order they have."""
    nodes = list(graph.node)
    made = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    order: dict[int, None] = {}
    for start in range(len(nodes)):
        stack = [start]
        while stack:  # depth first, without recursion: graphs are deep
            reads = (made.get(name) for name in inputs_of(nodes[stack[-1]]))
            waits = [index for index in reads if index is not None and index not in order]
            if waits:
                stack += reversed(waits)
            else:
                order[stack.pop()] = None
    replace_nodes(graph, [nodes[index] for index in order])


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Gives a graph other nodes, its own among them."""
    texts = [node.SerializeToString() for node in nodes]  # the field frees what it drops
    del graph.node[:]
    graph.node.extend(NodeProto.FromString(text) for text in texts)


def regions(graph: GraphProto) -> Regions:
    """Follows the tensors from the weights forwards and backwards. Nodes must have names."""
    weights = weighted(graph)
    behind: set[str] = set()  # tensors that depend on a weight
    before = set()
    for node in graph.node:  # in topological order, as ONNX demands
        if node.name in weights or any(name in behind for name in inputs_of(node)):
            behind.update(node.output)
        else:
            before.add(node.name)
    ahead: set[str] = set()  # tensors that a weight will see
    after = set()
    for node in reversed(graph.node):
        if node.name in weights or any(name in ahead for name in node.output):
            ahead.update(inputs_of(node))
        else:
            after.add(node.name)
    return Regions(frozenset(before), frozenset(after - before))


def names_of(node: NodeProto, known: Iterable[str]) -> list[str]:
    """The names that a node goes by: its own, and the modules that it and its weights come from.

    `known` are names of initializers. Torch's exporter writes modules into the node's metadata;
    a folded batch norm leaves its own there, but the weight still has the convolution's.
    """
    modules = []
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            modules += [scope for scope in ast.literal_eval(entry.value)[:-1] if scope]
    stored = set(known)
    for name in node.input:
        if name in stored and "." in name:
            modules += ancestors(name.rpartition(".")[0])
    return list(dict.fromkeys([node.name, *modules]))


def all_names(model: ModelProto) -> set[str]:
    """Every name that an exclude pattern may mean in this file."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return {name for node in model.graph.node for name in names_of(node, stored)}


def excluded_nodes(model: ModelProto, patterns: tuple[str, ...]) -> set[str]:
    """Names of the nodes that `[quantize] exclude` keeps float."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return {node.name for node in model.graph.node if excluded(patterns, names_of(node, stored))}


def opset(model: ModelProto) -> int:
    return next((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), 0)
