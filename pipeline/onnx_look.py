"""What every runner of a bundle takes of an ONNX file, where the standard allows more.

The C++ runner and the Android app look at a file before ONNX Runtime does, and refuse what is odd
(docs/cpp-runner.md). `tidy` says the same graph without what no runner needs; `refusal` is what is
left to refuse. Neither changes an answer.
"""

from collections.abc import Iterator

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TypeProto
from onnx.inliner import inline_local_functions

STANDARD = ("", "ai.onnx")  # two spellings of one domain
MICROSOFT = "com.microsoft"
COMPUTING = frozenset(
    (
        "Attention",
        "BiasGelu",
        "DequantizeLinear",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "EmbedLayerNormalization",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "GroupQueryAttention",
        "MatMulInteger16",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "MultiHeadAttention",
        "NhwcMaxPool",
        "QAttention",
        "QGemm",
        "QLinearAdd",
        "QLinearAveragePool",
        "QLinearConcat",
        "QLinearConv",
        "QLinearGlobalAveragePool",
        "QLinearLeakyRelu",
        "QLinearMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QuantizeLinear",
        "QuickGelu",
        "SkipLayerNormalization",
    )
)
"""Of com.microsoft: what computes, and does nothing else. The C++ runner has the same list."""


def inlined(model: ModelProto) -> ModelProto:
    """The model with functions of its own written out where they are called."""
    return inline_local_functions(model) if model.functions else model


def tidy(model: ModelProto) -> None:
    """One import of each domain that is used, no axis of -1, nothing of training. In place."""
    model.DiscardUnknownFields()
    for field in ("training_info", "configuration"):
        model.ClearField(field)
    used = {""}
    for node in _nodes(model):
        node.ClearField("device_configurations")
        if node.domain in STANDARD:
            node.ClearField("domain")
        used.add(node.domain)
    for holder in (model, *model.functions):
        _import_once(holder, used)
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            _forget_negative_sizes(value.type)


def refusal(model: ModelProto) -> str | None:
    """What a runner refuses this model for, in a sentence; None if nothing. Shapes and weights are
    for onnx.checker to look at."""
    domains = [_plain(entry.domain) for entry in model.opset_import]
    twice = next((domain for domain in domains if domains.count(domain) > 1), None)
    if twice is not None:
        return f"it imports the domain {twice or 'ai.onnx'!r} twice"
    if "" not in domains:
        return "it imports no version of the standard operators"
    if model.functions:
        return f"it has functions of its own, {model.functions[0].name!r} the first"
    for graph in graphs_of(model.graph):
        if graph.sparse_initializer:
            return "it has sparse weights"
        for value in (*graph.input, *graph.output, *graph.value_info):
            if _is_sparse(value.type):
                return f"{value.name!r} is a sparse tensor, or of a type of somebody's own"
    return next((said for node in _nodes(model) if (said := _of_node(node))), None)


def _of_node(node: NodeProto) -> str | None:
    what = f"the operator {node.op_type!r}"
    if node.domain == MICROSOFT and node.op_type not in COMPUTING:
        return f"{what} of {MICROSOFT} is none that a runner takes"
    if node.domain not in (*STANDARD, MICROSOFT):
        return f"{what} is of the domain {node.domain!r}, which no runner takes"
    if any(attribute.HasField("sparse_tensor") for attribute in node.attribute):
        return f"{what} holds a sparse tensor"
    return None


def _plain(domain: str) -> str:
    return "" if domain in STANDARD else domain


def _import_once(holder: "ModelProto | onnx.FunctionProto", used: set[str]) -> None:
    """Imports of one domain in two versions both stay: nobody can say which was meant."""
    kept = dict.fromkeys(
        (_plain(entry.domain), entry.version)
        for entry in holder.opset_import
        if _plain(entry.domain) in used
    )
    del holder.opset_import[:]
    holder.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in kept)


def _forget_negative_sizes(kind: TypeProto) -> None:
    """Some converters write -1 for a size that is not known; the standard leaves it out."""
    for inner in _tensor_types(kind):
        for dim in inner.shape.dim:
            if dim.dim_value < 0:
                dim.ClearField("dim_value")


def _tensor_types(kind: TypeProto) -> Iterator[TypeProto.Tensor]:
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        yield kind.tensor_type
    elif which in ("sequence_type", "optional_type"):
        yield from _tensor_types(getattr(kind, which).elem_type)
    elif which == "map_type":
        yield from _tensor_types(kind.map_type.value_type)


def _is_sparse(kind: TypeProto) -> bool:
    which = kind.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _is_sparse(getattr(kind, which).elem_type)
    return which in ("sparse_tensor_type", "opaque_type")


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and the graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            yield from _inside(attribute)


def _inside(attribute: AttributeProto) -> Iterator[GraphProto]:
    for inner in (attribute.g, *attribute.graphs):
        if inner.ByteSize():
            yield from graphs_of(inner)


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    for graph in graphs_of(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for attribute in node.attribute:
                for inner in _inside(attribute):
                    yield from inner.node
